{{/*
A Deployment of one gRPC service and its headless Service, over which clients balance by themselves.
Takes (dict "root" $ "component" NAME "image" IMAGE "arguments" YAML "values" MAP), where values have resources,
placement and, of those with more than one pod, replicas, strategy and scaling; and "environment", "mounts",
"volumes" (YAML), "admin" (true: a second port, 8034), "account" (true: a service account of its own, with its
token) where it needs them.
*/}}
{{- define "roundsmith.service" -}}
{{- $values := .values }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "roundsmith.name" . }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "roundsmith.labels" . | nindent 4 }}
spec:
  {{- if not (include "roundsmith.scaled" $values) }}
  replicas: {{ $values.replicas | default 1 }}
  {{- end }}
  strategy: {{- include "roundsmith.strategy" ($values.strategy | default "surge") | nindent 4 }}
  selector:
    matchLabels: {{- include "roundsmith.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "roundsmith.labels" . | nindent 8 }}
        {{- include "roundsmith.noSidecar" .root | nindent 8 }}
      {{- if or .environment .root.Values.metrics.enabled }}
      annotations:
        {{- if .environment }}
        checksum/storage: {{ toYaml .root.Values.storage | sha256sum }}
        {{- end }}
        {{- include "roundsmith.metricsAnnotations" .root | nindent 8 }}
      {{- end }}
    spec:
      {{- if .account }}
      serviceAccountName: {{ include "roundsmith.name" . }}
      {{- end }}
      automountServiceAccountToken: {{ .account | default false }}
      enableServiceLinks: false
      terminationGracePeriodSeconds: 30
      {{- with .root.Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- if .environment }}
      {{- include "roundsmith.modelRuntime" .root | nindent 6 }}
      {{- end }}
      {{- include "roundsmith.placement" $values.placement | nindent 6 }}
      securityContext: {{- include "roundsmith.podSecurity" . | nindent 8 }}
      {{- include "roundsmith.pullSecrets" .root | nindent 6 }}
      containers:
        - name: {{ .component }}
          {{- include "roundsmith.serviceContainer" (merge (dict "port" "grpc") .) | nindent 10 }}
      volumes: {{- include "roundsmith.serviceVolumes" . | nindent 8 }}
{{ include "roundsmith.headless" (dict "root" .root "component" .component "admin" .admin
  "selector" (include "roundsmith.selector" .)) }}
{{- if and (include "roundsmith.scaled" $values) (eq $values.scaling.by "hpa") }}
{{ include "roundsmith.hpa" . }}
{{- else if and (include "roundsmith.scaled" $values) (eq $values.scaling.by "keda") }}
{{ include "roundsmith.keda" . }}
{{- end }}
{{ include "roundsmith.disruptions" (dict "root" .root "component" .component "values" $values "selector" (include "roundsmith.selector" .)) }}
{{- end -}}

{{/* What the container of a service has but its name; "port" is the name of its one declared port. */}}
{{- define "roundsmith.serviceContainer" -}}
image: {{ .image }}
imagePullPolicy: {{ .root.Values.images.pullPolicy }}
args:
  {{- .arguments | nindent 2 }}
  {{- include "roundsmith.tlsArguments" .root | nindent 2 }}
  {{- include "roundsmith.metricsArguments" .root | nindent 2 }}
  {{- with .root.Values.tracing.otlpEndpoint }}
  - --otlp-endpoint={{ . }}
  {{- end }}
{{- with .environment }}
env: {{- . | nindent 2 }}
{{- end }}
ports:
  - { name: {{ .port }}, containerPort: 8033, protocol: TCP }
{{- $startup := 120 }}
{{- if .environment }}{{ $startup = .root.Values.models.startupSeconds }}{{ end }}
{{ include "roundsmith.probes" (dict "root" .root "port" 8033 "startupSeconds" $startup) }}
{{- if or (ne (.values.strategy | default "surge") "inPlace") (gt (.values.replicas | default 1 | int) 1) (include "roundsmith.scaled" .values) }}
# It answers until its address has left DNS: who is told to go elsewhere then finds the pod that took over.
lifecycle: { preStop: { sleep: { seconds: 5 } } }
{{- end }}
resources: {{- toYaml .values.resources | nindent 2 }}
securityContext: {{- include "roundsmith.containerSecurity" . | nindent 2 }}
volumeMounts:
  {{- .mounts | default "- { name: tmp, mountPath: /tmp }" | nindent 2 }}
  {{- include "roundsmith.tlsMounts" .root | nindent 2 }}
{{- end -}}

{{- define "roundsmith.serviceVolumes" -}}
{{ .volumes | default "- { name: tmp, emptyDir: { sizeLimit: 256Mi } }" }}
{{ include "roundsmith.tlsVolumes" (dict "root" .root "secret" (include "roundsmith.serverSecret" .root)) }}
{{- end -}}

{{/* The headless Service of a component: takes (dict "root" $ "component" NAME "selector" YAML "admin" BOOL). */}}
{{- define "roundsmith.headless" -}}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "roundsmith.name" . }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "roundsmith.labels" . | nindent 4 }}
spec:
  clusterIP: None
  selector: {{- .selector | nindent 4 }}
  ports:
    - { name: grpc, port: 8033, targetPort: 8033, appProtocol: kubernetes.io/h2c }
    {{- if .admin }}
    - { name: grpc-admin, port: 8034, targetPort: 8034, appProtocol: kubernetes.io/h2c }
    {{- end }}
{{- end -}}
