{{/* Names and labels. Components take (dict "root" $ "component" NAME). */}}

{{- define "roundsmith.name" -}}
{{- printf "%s-%s" (.root.Release.Name | trunc 40 | trimSuffix "-") .component -}}
{{- end -}}

{{- define "roundsmith.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "roundsmith.labels" -}}
{{ include "roundsmith.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: roundsmith
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "roundsmith.sandboxNamespace" -}}
{{- printf "%s-sandbox" .Release.Namespace | trunc 63 -}}
{{- end -}}

{{/* HOST:PORT of a component's own headless Service, by its whole name. */}}
{{- define "roundsmith.endpoint" -}}
dns:///{{ include "roundsmith.name" . }}.{{ .root.Release.Namespace }}.svc.cluster.local:{{ .port }}
{{- end -}}

{{- define "roundsmith.image" -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}

{{/* The image of generator, scorer and training. */}}
{{- define "roundsmith.modelImage" -}}
{{- $image := .Values.image -}}
{{- if .Values.models.image.repository }}{{ $image = .Values.models.image }}{{ end -}}
{{- include "roundsmith.image" (dict "root" . "image" $image) -}}
{{- end -}}
