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
      emptyDir: { sizeLimit: 1Gi }
    {{- include "roundsmith.tlsVolumes" (dict "root" . "secret" (include "roundsmith.clientSecret" .)) | nindent 4 }}
{{- end -}}

{{- define "roundsmith.trainingTemplate" -}}
{{- $component := dict "root" . "component" "training" -}}
metadata:
  labels: {{- include "roundsmith.labels" $component | nindent 4 }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
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
