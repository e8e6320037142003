{{- /* The pods of a run: a template per role and profile. */ -}}

{{- /* What a role's pods are made from: the defaults, the role's values, its profile's. The argument is a dict of root, role and profile (empty for none). */ -}}
{{- define "retort.role.config" -}}
{{- $profile := empty .profile | ternary dict (index .root.Values.profiles .profile | default dict) -}}
{{- mergeOverwrite (deepCopy .root.Values.roleDefaults) (deepCopy (index .root.Values.roles .role | default dict)) (deepCopy $profile) | toJson -}}
{{- end }}

{{- /* A PodTemplateSpec. The argument is as above. */ -}}
{{- define "retort.role.pod" -}}
{{- $ := .root -}}
{{- $role := .role -}}
{{- $config := include "retort.role.config" . | fromJson -}}
{{- $gpus := int $config.gpus -}}
{{- $data := has $role $.Values.data.roles -}}
{{- $grace := int $config.terminationGracePeriodSeconds -}}
{{- $context := dict "root" $ "config" $config "role" $role "data" $data "graceSeconds" $grace -}}
metadata:
  labels:
    {{- with $config.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- include "retort.labels" (dict "root" $ "component" $role) | nindent 4 }}
  {{- with $config.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "retort.name" $ }}-role
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $grace }}
  securityContext:
    {{- toYaml $.Values.podSecurityContext | nindent 4 }}
  {{- with include "retort.placement" $context | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with $config.schedulerName }}
  schedulerName: {{ . }}
  {{- end }}
  {{- $image := include "retort.image" (dict "root" $ "cuda" (eq "cuda" ($config.imageVariant | default (gt $gpus 0 | ternary "cuda" "cpu")))) }}
  {{- $fetches := include "retort.fetches" $context }}
  {{- if or $config.initContainers $fetches }}
  initContainers:
    {{- with $config.initContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- if $fetches }}
    - {{- include "retort.fetch" (dict "root" $ "image" $image) | nindent 6 }}
    {{- end }}
  {{- end }}
  containers:
    - name: retort
      image: {{ $image }}
      imagePullPolicy: {{ $.Values.image.pullPolicy }}
      securityContext:
        {{- include "retort.containerSecurity" . | nindent 8 }}
      env:
        {{- include "retort.env" $context | trim | nindent 8 }}
      {{- with $config.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        {{- include "retort.ports" . | nindent 8 }}
      {{- $resources := deepCopy $config.resources }}
      {{- if gt $gpus 0 }}
      {{- $resources = merge $resources (dict "limits" dict) }}
      {{- $_ := set $resources.limits $config.gpuResource $gpus }}
      {{- end }}
      resources:
        {{- toYaml $resources | nindent 8 }}
      {{- include "retort.probes" $config | nindent 6 }}
      volumeMounts:
        {{- include "retort.mounts" $context | nindent 8 }}
        {{- with $config.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with $config.sidecars }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "retort.volumes" $context | nindent 4 }}
    {{- with $config.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
