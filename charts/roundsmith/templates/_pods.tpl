{{/* What every pod of the release has in common. */}}

{{- define "roundsmith.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "roundsmith.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{- define "roundsmith.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Ready when the health service says so; a model is given ten minutes to load. */}}
{{- define "roundsmith.probes" -}}
startupProbe:
  grpc: { port: {{ . }} }
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 300
readinessProbe:
  grpc: { port: {{ . }} }
  periodSeconds: 5
  timeoutSeconds: 5
livenessProbe:
  grpc: { port: {{ . }} }
  periodSeconds: 20
  timeoutSeconds: 10
  failureThreshold: 6
{{- end -}}

{{/* The Secret of the storage's keys; empty where the pod's own identity opens it. */}}
{{- define "roundsmith.storageSecret" -}}
{{- if .Values.storage.existingSecret -}}
{{- .Values.storage.existingSecret -}}
{{- else if .Values.storage.accessKeyId -}}
{{- include "roundsmith.name" (dict "root" . "component" "storage") -}}
{{- end -}}
{{- end -}}

{{/* The standard AWS environment, which botocore reads. */}}
{{- define "roundsmith.storageEnvironment" -}}
- name: AWS_DEFAULT_REGION
  value: {{ .Values.storage.region }}
{{- with .Values.storage.endpoint }}
- name: AWS_ENDPOINT_URL
  value: {{ . }}
{{- end }}
{{- $secret := include "roundsmith.storageSecret" . }}
{{- if $secret }}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ . }}
  valueFrom:
    secretKeyRef: { name: {{ $secret }}, key: {{ . }} }
{{- end }}
{{- end }}
{{- end -}}

{{/* The port of the storage's endpoint. */}}
{{- define "roundsmith.storagePort" -}}
{{- $endpoint := urlParse (.Values.storage.endpoint | default "https://s3.amazonaws.com") -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $endpoint.host) -}}
{{- $port | default (eq $endpoint.scheme "https" | ternary "443" "80") -}}
{{- end -}}

{{/* Whether there is an environment to mount. */}}
{{- define "roundsmith.hasEnvironment" -}}
{{- if or .Values.environment.hostPath .Values.environment.existingClaim }}true{{ end -}}
{{- end -}}

{{/* Environment variables, mounts and volumes of a pod with torch: generator, scorer, training. */}}
{{- define "roundsmith.modelEnvironment" -}}
{{ include "roundsmith.storageEnvironment" . }}
- name: HF_HOME
  value: /tmp/huggingface
{{- end -}}

{{- define "roundsmith.modelMounts" -}}
- { name: tmp, mountPath: /tmp }
{{- if include "roundsmith.hasEnvironment" . }}
# The image's Python looks here after its own packages: KServe forbids PYTHONPATH.
- { name: environment, mountPath: /opt/environment, subPath: {{ .Values.environment.packages }}, readOnly: true }
{{- end }}
{{- end -}}

{{- define "roundsmith.modelVolumes" -}}
- name: tmp
  emptyDir: { sizeLimit: {{ .Values.models.cacheSize }} }
{{- if include "roundsmith.hasEnvironment" . }}
- name: environment
  persistentVolumeClaim:
    claimName: {{ .Values.environment.existingClaim | default (include "roundsmith.name" (dict "root" . "component" "environment")) }}
    readOnly: true
{{- end }}
{{- end -}}

{{/* The options of a service with weights. */}}
{{- define "roundsmith.modelArguments" -}}
- --model={{ .Values.models.model }}
- --host=0.0.0.0
- --port=8033
- --admin-port=8034
- --storage-root={{ .Values.storage.url | trimSuffix "/" }}/checkpoints
- --weights-cache=/tmp/weights
- --dtype={{ .Values.models.dtype }}
- --device={{ .Values.models.device }}
- --threads={{ .Values.models.threads }}
{{- end -}}

{{/* Where Prometheus reads a service, and what tells it so. */}}
{{- define "roundsmith.metricsArguments" -}}
{{- if .Values.metrics.enabled -}}
- --metrics-port=9090
{{- end -}}
{{- end -}}

{{- define "roundsmith.metricsAnnotations" -}}
{{- if .Values.metrics.enabled -}}
prometheus.io/scrape: "true"
prometheus.io/port: "9090"
prometheus.io/path: /metrics
{{- end -}}
{{- end -}}
