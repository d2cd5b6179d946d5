{{/*
Who plays rounds: the namespaces in `profiles`, or else that of the release alone. Takes (dict "root" $) and sets "users" in
it, since a template hands on nothing but text: each is the root as its namespace sees it, with what it has otherwise.
*/}}
{{- define "roundsmith.users" -}}
{{- $root := .root }}
{{- $users := list }}
{{- range $root.Values.profiles }}
{{- $values := mergeOverwrite (deepCopy $root.Values) (omit (deepCopy .) "namespace") }}
{{- $_ := set $values "callers" (.callers | default (dict "namespaces" list)) }}
{{- $_ := set $values "storage" (include "roundsmith.profileStorage" (dict "root" $root "profile" .) | fromYaml) }}
{{- $release := dict "Name" $root.Release.Name "Service" $root.Release.Service "Namespace" .namespace "Home" $root.Release.Namespace }}
{{- $users = append $users (dict "Values" $values "Release" $release "Chart" $root.Chart "Files" $root.Files "Template" $root.Template) }}
{{- end }}
{{- $_ := set . "users" ($users | default (list $root)) }}
{{- end -}}

{{/*
Every namespace that pods of the release are in, but for the sandbox's, in the same way: sets "places". The namespace of the
release has the executor and the pair builder, whoever plays.
*/}}
{{- define "roundsmith.places" -}}
{{- $root := .root }}
{{- $_ := include "roundsmith.users" . }}
{{- $_ := set . "places" (empty (include "roundsmith.plays" $root) | ternary (prepend .users $root) .users) }}
{{- end -}}

{{/* The namespace of the release, where every profile finds the executor and the pair builder. */}}
{{- define "roundsmith.home" -}}
{{- .Release.Home | default .Release.Namespace -}}
{{- end -}}

{{/* Whether the executor and the pair builder are in this namespace. */}}
{{- define "roundsmith.isHome" -}}
{{- if eq .Release.Namespace (include "roundsmith.home" .) }}true{{ end -}}
{{- end -}}

{{/* Whether rounds are played in this namespace, with a generator and a scorer of their own. */}}
{{- define "roundsmith.plays" -}}
{{- $namespace := .Release.Namespace }}
{{- if not .Values.profiles }}true{{ end }}
{{- range .Values.profiles }}{{ if eq .namespace $namespace }}true{{ end }}{{ end -}}
{{- end -}}

{{/* The storage of a profile, as YAML: a prefix and keys of its own. Takes (dict "root" $ "profile" MAP). */}}
{{- define "roundsmith.profileStorage" -}}
{{- $namespace := .profile.namespace }}
{{- $own := .profile.storage | default dict }}
{{- include "roundsmith.oneKey" (dict "storage" $own "of" (printf "the storage of profile %s" $namespace)) }}
{{- $storage := mergeOverwrite (deepCopy .root.Values.storage) (deepCopy $own) }}
{{- if not $own.url }}
{{- $_ := set $storage "url" (printf "%s/%s" (.root.Values.storage.url | trimSuffix "/") $namespace) }}
{{- end }}
{{- if and .root.Values.storage.accessKeyId (not $own.accessKeyId) (not $storage.existingSecret) }}
{{- fail (printf "profiles: expected keys of its own for %s, saw one pair for all: who has them reads what others stored; name a Secret of each namespace by storage.existingSecret, or give the profile its storage.accessKeyId" $namespace) }}
{{- end }}
{{- if $own.accessKeyId }}{{ $_ := set $storage "existingSecret" "" }}{{ end }}
{{- if $own.existingSecret }}{{ $_ := set $storage "accessKeyId" "" }}{{ end }}
{{- toYaml $storage }}
{{- end -}}

{{/* Keys that are given once. Takes (dict "storage" MAP "of" WHOSE). */}}
{{- define "roundsmith.oneKey" -}}
{{- if and .storage.existingSecret .storage.accessKeyId }}
{{- fail (printf "%s: expected existingSecret or accessKeyId, saw both: keep one; pods use the keys of a single Secret" .of) }}
{{- end }}
{{- end -}}

{{/* What no two profiles may have in common. */}}
{{- define "roundsmith.checkProfiles" -}}
{{- $found := dict "root" . }}
{{- $_ := include "roundsmith.users" $found }}
{{- range $number, $one := $found.users }}
{{- $url := printf "%s/" ($one.Values.storage.url | trimSuffix "/") }}
{{- range $other := slice $found.users 0 $number }}
{{- if eq $one.Release.Namespace $other.Release.Namespace }}
{{- fail (printf "profiles: expected each namespace once, saw %s twice" $one.Release.Namespace) }}
{{- end }}
{{- $taken := printf "%s/" ($other.Values.storage.url | trimSuffix "/") }}
{{- if or (hasPrefix $url $taken) (hasPrefix $taken $url) }}
{{- fail (printf "profiles: expected storage of its own for each, saw %s for %s and %s for %s: one would find what the other stored" $other.Values.storage.url $other.Release.Namespace $one.Values.storage.url $one.Release.Namespace) }}
{{- end }}
{{- end }}
{{- if $.Values.profiles }}
{{- range $one.Values.control.subjects }}
{{- if contains "/" . }}
{{- fail (printf "control.subjects: expected accounts of each profile's own namespace, such as default-editor, saw %q: it would act for every profile" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
