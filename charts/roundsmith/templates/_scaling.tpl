{{/* How many pods a service has, and how many may go at once. */}}

{{/* Whether somebody else counts the pods: takes the values of a component. */}}
{{- define "roundsmith.scaled" -}}
{{- with .scaling }}{{ if ne .by "none" }}true{{ end }}{{ end -}}
{{- end -}}

{{/* What is waiting for the pods of a component, as Prometheus knows it: `serve` is a generator, too, and not this one. */}}
{{- define "roundsmith.waiting" -}}
{{- $of := printf "namespace=%q" .root.Release.Namespace -}}
{{- $metrics := dict "generator" "roundsmith_generator_completions_waiting" "scorer" "roundsmith_scorer_items_waiting"
  "pair-builder" "roundsmith_items_in_flight" -}}
{{- if eq .component "pair-builder" }}{{ $of = printf "%s,service=\"roundsmith.v1.PairBuilderService\"" $of }}{{ end -}}
{{- if eq .component "generator" }}{{ $of = printf "%s,pod=~\"%s-.*\"" $of (include "roundsmith.name" .) }}{{ end -}}
sum({{ index $metrics .component }}{ {{- $of -}} })
{{- end -}}

{{- define "roundsmith.prometheus" -}}
{{- required "metrics.prometheus: expected the URL of a Prometheus, saw nothing: `scaling.by: keda` asks it what is waiting" .Values.metrics.prometheus -}}
{{- end -}}

{{- define "roundsmith.hpa" -}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "roundsmith.name" . }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "roundsmith.labels" . | nindent 4 }}
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: {{ include "roundsmith.name" . }} }
  minReplicas: {{ .values.replicas }}
  maxReplicas: {{ .values.scaling.maxReplicas }}
  metrics:
    - type: Resource
      resource: { name: cpu, target: { type: Utilization, averageUtilization: {{ .values.scaling.target }} } }
{{- end -}}

{{- define "roundsmith.keda" -}}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ include "roundsmith.name" . }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "roundsmith.labels" . | nindent 4 }}
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: {{ include "roundsmith.name" . }} }
  minReplicaCount: {{ .values.replicas }}
  maxReplicaCount: {{ .values.scaling.maxReplicas }}
  triggers:
    - type: prometheus
      metadata:
        serverAddress: {{ include "roundsmith.prometheus" .root }}
        query: {{ include "roundsmith.waiting" . | quote }}
        threshold: {{ .values.scaling.target | quote }}
{{- end -}}

{{/* The larger of two limits of each resource, which one of the two has at least: takes a list of both. */}}
{{- define "roundsmith.largest" -}}
{{- $most := dict }}
{{- range $limits := . }}
{{- range $what, $limit := $limits }}
{{- $before := get $most $what }}
{{- if or (not $before) (gt (include "roundsmith.amount" $limit | float64) (include "roundsmith.amount" $before | float64)) }}
{{- $_ := set $most $what (toString $limit) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $most }}
{{- end -}}

{{/* A quantity of Kubernetes as a number. */}}
{{- define "roundsmith.amount" -}}
{{- $text := toString . }}
{{- $units := dict "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 }}
{{- mulf (regexFind "^[0-9.]+" $text | float64) (get $units (regexFind "[A-Za-z]*$" $text) | default 1.0) }}
{{- end -}}

{{/* A quota that pods of the sandbox would never fit into: `replicas`, and one more while they are replaced. */}}
{{- define "roundsmith.checkQuota" -}}
{{- $sandbox := .Values.sandbox }}
{{- $pods := add (int $sandbox.replicas) 1 }}
{{- range $what, $most := $sandbox.quota }}
{{- if has $what (list "pods" "services" "services.nodeports" "services.loadbalancers" "persistentvolumeclaims") }}
{{- fail (printf "sandbox.quota: expected no %s, saw %s: the chart counts them by sandbox.replicas and sandbox.maxReplicas" $what (toString $most)) }}
{{- end }}
{{- $of := regexFind "^(requests|limits)" $what | default "requests" }}
{{- $resource := $what | trimPrefix "requests." | trimPrefix "limits." }}
{{- $needed := 0.0 }}
{{- range list $sandbox.worker.resources $sandbox.programs.resources }}
{{- $each := index (index . $of | default dict) $resource | default (index .limits $resource) | default "0" }}
{{- $needed = addf $needed (include "roundsmith.amount" $each | float64) }}
{{- end }}
{{- if lt (include "roundsmith.amount" $most | float64) (mulf $needed $pods) }}
{{- fail (printf "sandbox.quota: expected %s for %d pods, which is sandbox.replicas and one more while they are replaced, saw %s: raise it, or lower sandbox.replicas or the resources of sandbox.worker and sandbox.programs" $what $pods (toString $most)) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* One pod at a time may be evicted, where there is more than one. */}}
{{- define "roundsmith.disruptions" -}}
{{- $most := .values.replicas | default 1 | int }}
{{- if include "roundsmith.scaled" .values }}
{{- if le (int .values.scaling.maxReplicas) $most }}
{{- $of := .component | camelcase | untitle }}
{{- fail (printf "%s.scaling.maxReplicas: expected more than %s.replicas, saw %d and %d: there would be nothing to count" $of $of (int .values.scaling.maxReplicas) $most) }}
{{- end }}
{{- $most = int .values.scaling.maxReplicas }}
{{- end }}
{{- if gt $most 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "roundsmith.name" . }}
  namespace: {{ .namespace | default .root.Release.Namespace }}
  labels: {{- include "roundsmith.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- .selector | nindent 6 }}
{{- end }}
{{- end -}}
