{{/* Names and labels. Components take (dict "root" $ "component" NAME). */}}

{{- define "roundsmith.name" -}}
{{- if gt (len .root.Release.Name) 38 }}
{{- fail (printf "the release: expected a name of at most 38 characters, saw %q with %d: what is made of it (jobs, hosts, isvc.RELEASE-generator-predictor) may have 63" .root.Release.Name (len .root.Release.Name)) }}
{{- end }}
{{- printf "%s-%s" .root.Release.Name .component -}}
{{- end -}}

{{- define "roundsmith.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
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
{{- if gt (len .Release.Namespace) 55 }}
{{- fail (printf "the namespace: expected a name of at most 55 characters, saw %q with %d: the sandbox's is called %s-sandbox, and a name may have 63" .Release.Namespace (len .Release.Namespace) .Release.Namespace) }}
{{- end }}
{{- printf "%s-sandbox" .Release.Namespace -}}
{{- end -}}

{{/* HOST:PORT of a component's own headless Service, by its whole name. */}}
{{- define "roundsmith.endpoint" -}}
dns:///{{ include "roundsmith.name" . }}.{{ .root.Release.Namespace }}.svc.cluster.local:{{ .port }}
{{- end -}}

{{/* The image of a role: takes (dict "root" $ "role" NAME). A digest is what counts where one is given. */}}
{{- define "roundsmith.image" -}}
{{- $image := index .root.Values.images .role -}}
{{- with .root.Values.global.imageRegistry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ .root.Values.images.tag | default .root.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* The image of a role with torch, which an environment brings to the image of the steps. */}}
{{- define "roundsmith.modelImage" -}}
{{- $role := .role -}}
{{- if include "roundsmith.hasEnvironment" .root }}{{ $role = "control" }}{{ end -}}
{{- include "roundsmith.image" (dict "root" .root "role" $role) -}}
{{- end -}}
