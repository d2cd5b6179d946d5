{{/*
The same service as an InferenceService with a ServingRuntime of its own, for the same arguments as
"roundsmith.service". One port is declared, or KServe would route gRPC elsewhere; KServe's own Service has one address,
behind which gRPC sticks to one pod.
*/}}
{{- define "roundsmith.inferenceService" -}}
{{- $name := include "roundsmith.name" . }}
{{- $selector := printf "app: isvc.%s-predictor" $name }}
apiVersion: serving.kserve.io/v1alpha1
kind: ServingRuntime
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "roundsmith.labels" . | nindent 4 }}
spec:
  supportedModelFormats:
    - { name: huggingface, version: "1", autoSelect: false }
  containers:
    - name: kserve-container
      {{- include "roundsmith.serviceContainer" (merge (dict "port" "h2c") .) | nindent 6 }}
  volumes: {{- include "roundsmith.serviceVolumes" . | nindent 4 }}
---
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "roundsmith.labels" . | nindent 4 }}
    {{- with .root.Values.kserve.queue }}
    kueue.x-k8s.io/queue-name: {{ . }}
    {{- end }}
  annotations: {{- include "roundsmith.inferenceAnnotations" . | nindent 4 }}
spec:
  predictor:
    labels: {{- include "roundsmith.noSidecar" .root | default "{}" | nindent 6 }}
    annotations:
      checksum/storage: {{ toYaml .root.Values.storage | sha256sum }}
      {{- include "roundsmith.metricsAnnotations" .root | nindent 6 }}
    {{- include "roundsmith.predictorScale" . | nindent 4 }}
    automountServiceAccountToken: false
    enableServiceLinks: false
    {{- with .root.Values.priorityClassName }}
    priorityClassName: {{ . }}
    {{- end }}
    {{- include "roundsmith.modelRuntime" .root | nindent 4 }}
    {{- include "roundsmith.placement" .values.placement | nindent 4 }}
    securityContext: {{- include "roundsmith.podSecurity" . | nindent 6 }}
    {{- include "roundsmith.pullSecrets" .root | nindent 4 }}
    model:
      # A format of any other name, and KServe would add its puller of many models where no storageUri is given.
      modelFormat: { name: huggingface, version: "1" }
      runtime: {{ $name }}
      # KServe asks for a CPU and 2 GiB where the model says nothing, whatever the runtime says.
      resources: {{- toYaml .values.resources | nindent 8 }}
{{ include "roundsmith.headless" (dict "root" .root "component" .component "admin" .admin "selector" $selector) }}
{{ include "roundsmith.disruptions" (dict "root" .root "component" .component "values" .values "selector" $selector) }}
{{- end -}}

{{- define "roundsmith.inferenceAnnotations" -}}
{{- $classes := dict "none" "none" "hpa" "hpa" "keda" "keda" }}
{{- $by := "none" }}
{{- with .values.scaling }}{{ $by = .by }}{{ end -}}
serving.kserve.io/deploymentMode: {{ .root.Values.kserve.deploymentMode }}
serving.kserve.io/autoscalerClass: {{ index $classes $by }}
{{- end -}}

{{- define "roundsmith.predictorScale" -}}
minReplicas: {{ .values.replicas }}
{{- if include "roundsmith.scaled" .values }}
maxReplicas: {{ .values.scaling.maxReplicas }}
{{- if eq .values.scaling.by "hpa" }}
scaleMetric: cpu
scaleTarget: {{ .values.scaling.target }}
{{- else }}
autoScaling:
  metrics:
    - type: External
      external:
        metric:
          backend: prometheus
          serverAddress: {{ include "roundsmith.prometheus" .root }}
          query: {{ include "roundsmith.waiting" . | quote }}
        target: { type: Value, value: {{ .values.scaling.target | quote }} }
{{- end }}
{{- else }}
maxReplicas: {{ .values.replicas }}
{{- end }}
deploymentStrategy: {{- include "roundsmith.strategy" .values.strategy | nindent 2 }}
{{- end -}}

{{/* A service with weights: takes (dict "root" $ "component" NAME "role" IMAGE "values" MAP "arguments" LIST "kserve" BOOL). */}}
{{- define "roundsmith.model" -}}
{{- $arguments := printf "%s\n%s" (toYaml .arguments) (include "roundsmith.modelArguments" .) }}
{{- $given := dict "root" .root "component" .component "admin" true "values" .values "arguments" $arguments
  "image" (include "roundsmith.modelImage" .) "environment" (include "roundsmith.modelEnvironment" .root)
  "mounts" (include "roundsmith.modelMounts" .root) "volumes" (include "roundsmith.modelVolumes" .root) }}
{{- include (.kserve | ternary "roundsmith.inferenceService" "roundsmith.service") $given }}
{{- end -}}
