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

{{/* Without Istio's sidecar: it outlives a job, and lets in nobody who has none. */}}
{{- define "roundsmith.noSidecar" -}}
{{- if not .Values.jobs.istioSidecar -}}
sidecar.istio.io/inject: "false"
{{- end }}
{{- end -}}

{{/* Where the pods of a component may run: takes the value `placement`. */}}
{{- define "roundsmith.placement" -}}
{{- range $name, $value := . }}
{{- with $value }}
{{ $name }}: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
Ready when the health service says so: takes (dict "root" $ "port" N "startupSeconds" S). A kubelet shows no
certificate, so that with TLS it asks in plain HTTP.
*/}}
{{- define "roundsmith.probes" -}}
{{- $ask := dict "grpc" (dict "port" .port) }}
{{- if and .root.Values.tls.enabled (eq (int .port) 8033) }}
{{- $ask = dict "httpGet" (dict "path" "/ready" "port" 9090) }}
{{- end -}}
startupProbe:
  {{- toYaml $ask | nindent 2 }}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: {{ div (add (int .startupSeconds) 1) 2 }}
readinessProbe:
  {{- toYaml $ask | nindent 2 }}
  periodSeconds: 5
  timeoutSeconds: 5
livenessProbe:
  {{- toYaml $ask | nindent 2 }}
  periodSeconds: 20
  timeoutSeconds: 10
  failureThreshold: 6
{{- end -}}

{{/* How new pods take over: `surge` starts one before another goes, `inPlace` needs no room for it. */}}
{{- define "roundsmith.strategy" -}}
type: RollingUpdate
rollingUpdate:
  {{- if eq . "inPlace" }}
  maxSurge: 0
  maxUnavailable: 1
  {{- else }}
  maxSurge: 1
  maxUnavailable: 0
  {{- end }}
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

{{/* The claim of the environment. */}}
{{- define "roundsmith.environmentClaim" -}}
{{- with .Values.environment -}}
{{- .existingClaim | default (printf "%s-%s" (include "roundsmith.name" (dict "root" $ "component" "environment")) (sha256sum .hostPath | trunc 8)) -}}
{{- end -}}
{{- end -}}

{{/* What runs the containers of a pod with a model. */}}
{{- define "roundsmith.modelRuntime" -}}
{{- with .Values.models.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Environment variables, mounts and volumes of a pod with torch: generator, scorer, training. */}}
{{- define "roundsmith.modelEnvironment" -}}
{{ include "roundsmith.storageEnvironment" . }}
- name: HF_HOME
  value: /tmp/huggingface
{{- if and (eq .Values.generator.engine "vllm") (eq .Values.models.device "cpu") }}
# The image has no compiler for the few functions that vLLM's CPU build would compile as it answers.
- name: TORCHDYNAMO_DISABLE
  value: "1"
{{- end }}
{{ include "roundsmith.hubEnvironment" . }}
{{- end -}}

{{/* Whether a model hub may be asked. */}}
{{- define "roundsmith.hubEnvironment" -}}
- name: HF_HUB_OFFLINE
  value: {{ .Values.models.offline | ternary "1" "0" | quote }}
{{- end -}}

{{- define "roundsmith.modelMounts" -}}
- { name: tmp, mountPath: /tmp }
{{- if .Values.models.sharedMemory }}
- { name: shared-memory, mountPath: /dev/shm }
{{- end }}
{{- if include "roundsmith.hasEnvironment" . }}
# The image's Python looks here after its own packages: KServe forbids PYTHONPATH.
- { name: environment, mountPath: /opt/environment, subPath: {{ .Values.environment.packages }}, readOnly: true }
{{- end }}
{{- end -}}

{{- define "roundsmith.modelVolumes" -}}
- name: tmp
  emptyDir: { sizeLimit: {{ .Values.models.cacheSize }} }
{{- with .Values.models.sharedMemory }}
- name: shared-memory
  emptyDir: { medium: Memory, sizeLimit: {{ . }} }
{{- end }}
{{- if include "roundsmith.hasEnvironment" . }}
- name: environment
  persistentVolumeClaim:
    claimName: {{ include "roundsmith.environmentClaim" . }}
    readOnly: true
{{- end }}
{{- end -}}

{{/*
The options of a service with weights, as a list: takes (dict "root" $ "component" NAME). What is served is recorded, so
that a pod that starts later serves it too.
*/}}
{{- define "roundsmith.modelArguments" -}}
{{- $models := .root.Values.models }}
{{- $storage := .root.Values.storage.url | trimSuffix "/" -}}
- --model={{ $models.model }}
- --host=0.0.0.0
- --port=8033
- --admin-port=8034
- --storage-root={{ $storage }}/checkpoints
- --weights-cache=/tmp/weights
- --weights-record={{ include "roundsmith.record" . }}
- --dtype={{ $models.dtype }}
- --device={{ $models.device }}
- --threads={{ $models.threads }}
{{- if .root.Values.tls.enabled }}
- --admin-subject={{ include "roundsmith.subject" .root }}
{{- end }}
{{- end -}}

{{/* The file that keeps which weights a service serves: of this release, this service and this model. */}}
{{- define "roundsmith.record" -}}
{{- .root.Values.storage.url | trimSuffix "/" }}/served/{{ .root.Release.Namespace }}/{{ .root.Release.Name }}/{{ .component }}-{{ sha256sum .root.Values.models.model | trunc 12 }}.json
{{- end -}}

{{/* Where Prometheus reads a service, and what tells it so. */}}
{{- define "roundsmith.metricsArguments" -}}
{{- if or .Values.metrics.enabled .Values.tls.enabled -}}
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

{{/* TLS: the certificate of all services, that of rounds, and the name in it: where several play, each has its own. */}}
{{- define "roundsmith.subject" -}}
{{ include "roundsmith.name" (dict "root" . "component" "control") }}
{{- if .Values.profiles }}.{{ .Release.Namespace }}{{ end }}
{{- end -}}

{{- define "roundsmith.serverSecret" -}}
{{- .Values.tls.serverSecret | default (include "roundsmith.name" (dict "root" . "component" "server-tls")) -}}
{{- end -}}

{{- define "roundsmith.clientSecret" -}}
{{- .Values.tls.clientSecret | default (include "roundsmith.name" (dict "root" . "component" "client-tls")) -}}
{{- end -}}

{{- define "roundsmith.tlsArguments" -}}
{{- if .Values.tls.enabled -}}
- --tls-certificate=/etc/roundsmith-tls/tls.crt
- --tls-key=/etc/roundsmith-tls/tls.key
- --tls-client-ca=/etc/roundsmith-tls/ca.crt
{{- end -}}
{{- end -}}

{{- define "roundsmith.tlsMounts" -}}
{{- if .Values.tls.enabled -}}
- { name: tls, mountPath: /etc/roundsmith-tls, readOnly: true }
{{- end -}}
{{- end -}}

{{/* Takes (dict "root" $ "secret" NAME). */}}
{{- define "roundsmith.tlsVolumes" -}}
{{- if .root.Values.tls.enabled -}}
- name: tls
  secret: { secretName: {{ .secret }}, defaultMode: 0440 }
{{- end -}}
{{- end -}}
