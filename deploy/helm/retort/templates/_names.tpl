{{- /* Stem of every name; short enough that what is put after it stays a label's value. */ -}}
{{- define "retort.name" -}}
{{- ternary .Release.Name (printf "%s-retort" .Release.Name) (contains "retort" .Release.Name) | trunc 45 | trimSuffix "-" -}}
{{- end }}

{{- /* Labels of an object; the argument is a dict of root and component. */ -}}
{{- define "retort.labels" -}}
{{ include "retort.selector" . }}
app.kubernetes.io/name: {{ ternary "nats" "retort" (eq .component "nats") }}
app.kubernetes.io/part-of: retort
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* What selects the pods of a component; without a component, all pods of the release. */ -}}
{{- define "retort.selector" -}}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "retort.nats.url" -}}
{{- if .Values.nats.enabled -}}
nats://{{ include "retort.name" . }}-nats.{{ .Release.Namespace }}.svc:4222
{{- else -}}
{{ required "nats.url is needed when nats.enabled is false: nats://host:port of your NATS" .Values.nats.url }}
{{- end -}}
{{- end }}

{{- /* Secret with a password per role; empty where NATS is not ours and no Secret is named. */ -}}
{{- define "retort.nats.logins" -}}
{{- if .Values.nats.logins.existingSecret }}{{ .Values.nats.logins.existingSecret }}
{{- else if .Values.nats.enabled }}{{ include "retort.name" . }}-nats-logins{{ end -}}
{{- end }}

{{- /* One user per role, with its rights, as nats-server's configuration has them; the passwords are in the environment, from a Secret. */ -}}
{{- define "retort.nats.users" -}}
authorization {
  users: [
    {{- range $user, $permissions := .Files.Get "files/nats-permissions.json" | fromJson }}
    { user: {{ $user }}, password: $RETORT_NATS_PASSWORD_{{ upper $user }}, permissions: {{ toRawJson $permissions }} }
    {{- end }}
  ]
}
{{- end }}

{{- define "retort.nats.monitor" -}}
{{- if .Values.nats.monitor }}{{ .Values.nats.monitor }}
{{- else if .Values.nats.enabled }}{{ include "retort.name" . }}-nats.{{ .Release.Namespace }}.svc:8222{{ end -}}
{{- end }}

{{- /* The port of a URL of http or https. */ -}}
{{- define "retort.port" -}}
{{- regexFind ":[0-9]+" (urlParse . | dig "host" "") | trimPrefix ":" | default (hasPrefix "https:" . | ternary "443" "80") }}
{{- end }}

{{- define "retort.image" -}}
{{- $tag := .root.Values.image.tag | default .root.Chart.AppVersion -}}
{{- if .cuda }}{{ $tag = .root.Values.image.cudaTag | default (printf "%s-cuda" $tag) }}{{ end -}}
{{ .root.Values.image.repository }}:{{ $tag }}
{{- end }}
