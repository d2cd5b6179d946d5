{{/* The pod templates that the ConfigMap of the cluster hands to rounds, as YAML. */}}

{{- define "roundsmith.controlTemplate" -}}
{{- $component := dict "root" . "component" "control" -}}
metadata:
  labels: {{- include "roundsmith.labels" $component | nindent 4 }}
spec:
  restartPolicy: Never
  {{- include "roundsmith.placement" .Values.control.placement | nindent 2 }}
  serviceAccountName: {{ include "roundsmith.name" $component }}
  automountServiceAccountToken: true
  enableServiceLinks: false
  securityContext: {{- include "roundsmith.podSecurity" . | nindent 4 }}
  {{- include "roundsmith.pullSecrets" . | nindent 2 }}
  containers:
    - name: control
      image: {{ include "roundsmith.image" (dict "root" . "role" "control") }}
      imagePullPolicy: {{ .Values.images.pullPolicy }}
      env:
        {{- include "roundsmith.storageEnvironment" . | nindent 8 }}
        {{- include "roundsmith.hubEnvironment" . | nindent 8 }}
      resources: {{- toYaml .Values.control.resources | nindent 8 }}
      securityContext: {{- include "roundsmith.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - { name: cluster, mountPath: /etc/roundsmith, readOnly: true }
        - { name: runs, mountPath: /runs }
        - { name: tmp, mountPath: /tmp }
        {{- include "roundsmith.tlsMounts" . | nindent 8 }}
  volumes:
    - name: cluster
      configMap: { name: {{ include "roundsmith.name" (dict "root" . "component" "cluster") }} }
    - name: runs
      emptyDir: { sizeLimit: {{ .Values.control.workSize }} }
    - name: tmp
      emptyDir: { sizeLimit: {{ .Values.control.workSize }} }
    {{- include "roundsmith.tlsVolumes" (dict "root" . "secret" (include "roundsmith.clientSecret" .)) | nindent 4 }}
{{- end -}}

{{- define "roundsmith.trainingTemplate" -}}
{{- $component := dict "root" . "component" "training" -}}
metadata:
  labels: {{- include "roundsmith.labels" $component | nindent 4 }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  # What was trained since the last checkpoint is lost in any case; an init container of the operator hears no SIGTERM.
  terminationGracePeriodSeconds: 5
  {{- include "roundsmith.modelRuntime" . | nindent 2 }}
  {{- include "roundsmith.placement" .Values.training.placement | nindent 2 }}
  securityContext: {{- include "roundsmith.podSecurity" . | nindent 4 }}
  {{- include "roundsmith.pullSecrets" . | nindent 2 }}
  containers:
    - name: pytorch
      image: {{ include "roundsmith.modelImage" (dict "root" . "role" "trainer") }}
      imagePullPolicy: {{ .Values.images.pullPolicy }}
      env: {{- include "roundsmith.modelEnvironment" . | nindent 8 }}
      resources: {{- toYaml .Values.training.resources | nindent 8 }}
      securityContext: {{- include "roundsmith.containerSecurity" . | nindent 8 }}
      volumeMounts: {{- include "roundsmith.modelMounts" . | nindent 8 }}
  volumes: {{- include "roundsmith.modelVolumes" . | nindent 4 }}
{{- end -}}

{{/* The label of a training that samples from the services, and swaps their weights at each step. */}}
{{- define "roundsmith.rollsOut" -}}
roundsmith.dev/rollouts: "true"
{{- end -}}

{{/* What such a training has beside its template. */}}
{{- define "roundsmith.rollouts" -}}
labels: {{- include "roundsmith.rollsOut" . | nindent 2 }}
{{- if .Values.tls.enabled }}
volumes: {{- include "roundsmith.tlsVolumes" (dict "root" . "secret" (include "roundsmith.clientSecret" .)) | nindent 2 }}
volume_mounts: {{- include "roundsmith.tlsMounts" . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The pod that uploads the pipeline: takes (dict "root" $ "image" IMAGE "secret" NAME). It asks Kubernetes nothing. */}}
{{- define "roundsmith.uploadTemplate" -}}
{{- $component := dict "root" .root "component" "control" -}}
{{- $pipelines := .root.Values.pipelines -}}
{{- $name := .root.Release.Name -}}
{{- if and .root.Values.profiles (not $pipelines.token) }}{{ $name = printf "%s-%s" $name .root.Release.Namespace }}{{ end -}}
metadata:
  labels:
    {{- include "roundsmith.labels" $component | nindent 4 }}
    access-ml-pipeline: "true"
    {{- include "roundsmith.noSidecar" .root | nindent 4 }}
spec:
  restartPolicy: Never
  {{- with .root.Values.jobs.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- include "roundsmith.placement" .root.Values.control.placement | nindent 2 }}
  serviceAccountName: {{ include "roundsmith.name" $component }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext: {{- include "roundsmith.podSecurity" . | nindent 4 }}
  {{- include "roundsmith.pullSecrets" .root | nindent 2 }}
  containers:
    - name: upload
      image: {{ .image }}
      imagePullPolicy: {{ .root.Values.images.pullPolicy }}
      args:
        - compile
        - --output=/tmp/pipeline.yaml
        - --release={{ .root.Release.Name }}
        - --image={{ .image }}
        {{- with .secret }}
        - --storage-secret={{ . }}
        {{- end }}
        - --tls-secret={{ include "roundsmith.clientSecret" .root }}
        {{- range .root.Values.imagePullSecrets }}
        - --pull-secret={{ . }}
        {{- end }}
        - --pipelines={{ $pipelines.host }}
        - --name={{ $name }}
        - --namespace={{ .root.Release.Namespace }}
        {{- with $pipelines.token }}
        - --token={{ . }}
        {{- end }}
      resources: {{- toYaml .root.Values.control.resources | nindent 8 }}
      securityContext: {{- include "roundsmith.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - { name: tmp, mountPath: /tmp }
  volumes:
    - name: tmp
      emptyDir: { sizeLimit: 64Mi }
{{- end -}}
