{{- /*
What the pods of the controller and of every role share. The argument is a dict of root, config (the values of the role),
graceSeconds, role (of a process that uses NATS), and data: true mounts the release's data volume at /data, false one of the pod's own; without it there is none.
*/ -}}

{{- define "retort.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- /* Settings as environment: a flag of the launcher then wins over them. */ -}}
{{- define "retort.env" -}}
{{- $v := .root.Values -}}
{{- $set := dict
  "RETORT_NATS_URL" (include "retort.nats.url" .root)
  "RETORT_HOST" "0.0.0.0"
  "RETORT_PORT" "7070"
  "RETORT_HEALTH_PORT" "7071"
  "RETORT_METRICS_PORT" "7072"
  "RETORT_DATA_DIR" "/data"
  "RETORT_ROOTS" (join "," (concat (list $v.models.mountPath "/data" "/app/deploy/examples") (ternary (list $v.fetch.mountPath) list $v.fetch.enabled) $v.roots))
  "RETORT_OUTPUT_ROOTS" "/data"
  "RETORT_WEIGHT_STORE" $v.weights.store
  "RETORT_GRACE_MS" (printf "%d000" (max 1 (sub (int .graceSeconds) 5))) -}}
{{- if eq $v.weights.store "s3" }}
  {{- $_ := set $set "RETORT_WEIGHT_URL" (required "weights.url is needed for weights.store s3: s3://bucket/prefix" $v.weights.url) }}
  {{- with $v.weights.endpoint }}{{ $_ := set $set "AWS_ENDPOINT_URL_S3" . }}{{ end }}
  {{- with $v.weights.region }}{{ $_ := set $set "AWS_REGION" . }}{{ end }}
{{- end -}}
{{- if gt (int .config.gpus) 0 }}{{ $_ := set $set "RETORT_DEVICE" "cuda" }}{{ end -}}
{{- with $v.tracing.endpoint }}{{ $_ := set $set "OTEL_EXPORTER_OTLP_ENDPOINT" . }}{{ end -}}
{{- if $v.tls.existingSecret }}
  {{- $_ := set $set "RETORT_TLS_CERT" "/etc/retort/tls/tls.crt" }}
  {{- $_ := set $set "RETORT_TLS_KEY" "/etc/retort/tls/tls.key" }}
  {{- if $v.tls.clientAuth }}{{ $_ := set $set "RETORT_TLS_CA" "/etc/retort/tls/ca.crt" }}{{ end }}
{{- end -}}
{{- if $v.nats.credentials.existingSecret }}{{ $_ := set $set "RETORT_NATS_CREDENTIALS" "/etc/retort/nats/nats.creds" }}{{ end -}}
{{- if and .role (include "retort.nats.logins" .root) }}{{ $_ := set $set "RETORT_NATS_LOGINS" "/etc/retort/nats-logins" }}{{ end -}}
{{- if $v.nats.tls.existingSecret }}
  {{- $_ := set $set "RETORT_NATS_TLS_CA" "/etc/retort/nats-tls/ca.crt" }}
  {{- if $v.nats.tls.clientCertificate }}
    {{- $_ := set $set "RETORT_NATS_TLS_CERT" "/etc/retort/nats-tls/tls.crt" }}
    {{- $_ := set $set "RETORT_NATS_TLS_KEY" "/etc/retort/nats-tls/tls.key" }}
  {{- end }}
{{- end -}}
{{- range $name, $value := merge (deepCopy .config.settings) $v.settings }}
  {{- /* A number comes from YAML as a float, and a large one would be written with an exponent. */}}
  {{- if kindIs "float64" $value }}{{ $value = printf "%.0f" $value }}{{ end }}
  {{- $_ := set $set (printf "RETORT_%s" (snakecase $name | upper)) (toString $value) }}
{{- end -}}
{{- range $name, $value := $set }}
- { name: {{ $name }}, value: {{ $value | quote }} }
{{- end }}
{{- if and (eq $v.weights.store "s3") $v.weights.existingSecret }}
{{- range $key := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ $key }}
  valueFrom: { secretKeyRef: { name: {{ $v.weights.existingSecret }}, key: {{ $key }} } }
{{- end }}
{{- end }}
{{- if $v.token.existingSecret }}
{{- range $variable, $key := dict "RETORT_TOKEN" $v.token.key "RETORT_RUN_TOKEN" $v.token.runKey "RETORT_READ_TOKEN" $v.token.readKey }}
{{- with $key }}
- name: {{ $variable }}
  valueFrom: { secretKeyRef: { name: {{ $v.token.existingSecret }}, key: {{ . }} } }
{{- end }}
{{- end }}
{{- end }}
{{- if and (eq (.role | default "") "controller") $v.fetch.enabled }}
{{ include "retort.fetch.env" .root }}
{{- end }}
{{- with .config.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* What fetching needs: where the caches are, and who is asked with which secrets. A store of weights in S3 is also asked for what specs name. */ -}}
{{- define "retort.fetch.env" -}}
{{- $v := .Values -}}
- { name: XDG_CACHE_HOME, value: {{ $v.fetch.mountPath | quote }} }
{{- with $v.fetch.hub.endpoint }}
- { name: HF_ENDPOINT, value: {{ . | quote }} }
{{- end }}
{{- with $v.fetch.hub.existingSecret }}
- name: HF_TOKEN
  valueFrom: { secretKeyRef: { name: {{ . }}, key: {{ $v.fetch.hub.key }} } }
{{- end }}
{{- with $v.fetch.s3.endpoint }}
- { name: AWS_ENDPOINT_URL_S3, value: {{ . | quote }} }
{{- end }}
{{- with $v.fetch.s3.region }}
- { name: AWS_REGION, value: {{ . | quote }} }
{{- end }}
{{- with $v.fetch.s3.existingSecret }}
{{- range $key := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ $key }}
  valueFrom: { secretKeyRef: { name: {{ $v.fetch.s3.existingSecret }}, key: {{ $key }} } }
{{- end }}
{{- end }}
{{- end }}

{{- /*
The init container that fetches what a spec names elsewhere. Its arguments are the launcher's, which leaves it out of pods that need nothing. The
secrets are in it alone, and the role's container has the cache read-only.
*/ -}}
{{- define "retort.fetch" -}}
{{- $v := .root.Values -}}
name: retort-fetch
image: {{ .image }}
imagePullPolicy: {{ $v.image.pullPolicy }}
command: [node, dist/services/cli.js]
securityContext:
  {{- include "retort.containerSecurity" . | nindent 2 }}
env:
  {{- include "retort.fetch.env" .root | nindent 2 }}
  {{- if eq $v.weights.store "s3" }}
  {{- include "retort.s3.env" .root | nindent 2 }}
  {{- end }}
resources:
  {{- toYaml $v.fetch.resources | nindent 2 }}
volumeMounts:
  - { name: tmp, mountPath: /tmp }
  - { name: cache, mountPath: {{ $v.fetch.mountPath }} }
{{- end }}

{{- /* Where the bucket of weights is, and its secrets. */ -}}
{{- define "retort.s3.env" -}}
{{- with .Values.weights }}
{{- with .endpoint }}
- { name: AWS_ENDPOINT_URL_S3, value: {{ . | quote }} }
{{- end }}
{{- with .region }}
- { name: AWS_REGION, value: {{ . | quote }} }
{{- end }}
{{- $secret := .existingSecret }}
{{- range $key := list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
{{- if $secret }}
- name: {{ $key }}
  valueFrom: { secretKeyRef: { name: {{ $secret }}, key: {{ $key }} } }
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "retort.ports" -}}
- { name: grpc, containerPort: 7070 }
- { name: health, containerPort: 7071 }
- { name: metrics, containerPort: 7072 }
{{- end }}

{{- /* The health port never waits for the model, so a long task does not look like a dead process. */ -}}
{{- define "retort.probes" -}}
startupProbe:
  grpc: { port: 7071 }
  periodSeconds: 5
  failureThreshold: {{ max 1 (div (add (int .startupSeconds) (ternary (int .gpuStartupSeconds) 0 (gt (int .gpus) 0))) 5) }}
readinessProbe:
  grpc: { port: 7071 }
  periodSeconds: 5
livenessProbe:
  grpc: { port: 7071 }
  periodSeconds: 20
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

{{- /* Whether a pod reads what specs name elsewhere: a student has its weights from the store. The argument has root and role. */ -}}
{{- define "retort.fetches" -}}
{{- if and .root.Values.fetch.enabled (has (.role | default "") (list "controller" "learner" "reward" "teacher")) }}true{{ end -}}
{{- end }}

{{- define "retort.mounts" -}}
- { name: tmp, mountPath: /tmp }
{{- if hasKey . "data" }}
- { name: data, mountPath: /data }
{{- end }}
{{- if .root.Values.models.source }}
- { name: models, mountPath: {{ .root.Values.models.mountPath }}, readOnly: true }
{{- end }}
{{- if include "retort.fetches" . }}
- { name: cache, mountPath: {{ .root.Values.fetch.mountPath }}{{ if ne .role "controller" }}, readOnly: true{{ end }} }
{{- end }}
{{- if .root.Values.tls.existingSecret }}
- { name: tls, mountPath: /etc/retort/tls, readOnly: true }
{{- end }}
{{- if .root.Values.nats.credentials.existingSecret }}
- { name: nats-credentials, mountPath: /etc/retort/nats, readOnly: true }
{{- end }}
{{- if and .role (include "retort.nats.logins" .root) }}
- { name: nats-logins, mountPath: /etc/retort/nats-logins, readOnly: true }
{{- end }}
{{- if .root.Values.nats.tls.existingSecret }}
- { name: nats-tls, mountPath: /etc/retort/nats-tls, readOnly: true }
{{- end }}
{{- if and (gt (int .config.gpus) 0) .config.shmSize }}
- { name: shm, mountPath: /dev/shm }
{{- end }}
{{- end }}

{{- define "retort.volumes" -}}
- { name: tmp, emptyDir: {} }
{{- if and (hasKey . "data") (not .data) }}
# What a process keeps for itself, as a teacher its scores.
- { name: data, emptyDir: {} }
{{- else if .data }}
- name: data
  persistentVolumeClaim: { claimName: {{ .root.Values.data.existingClaim | default (printf "%s-data" (include "retort.name" .root)) }} }
{{- end }}
{{- with .root.Values.models.source }}
- name: models
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if include "retort.fetches" . }}
{{- if and .root.Values.fetch.source (ne .role "controller") }}
- name: cache
  {{- toYaml .root.Values.fetch.source | nindent 2 }}
{{- else }}
# The controller's own has of weights the heads alone.
- { name: cache, emptyDir: {} }
{{- end }}
{{- end }}
{{- with .root.Values.tls.existingSecret }}
- { name: tls, secret: { secretName: {{ . }}, defaultMode: 0440 } }
{{- end }}
{{- with .root.Values.nats.credentials }}
{{- if .existingSecret }}
- name: nats-credentials
  secret: { secretName: {{ .existingSecret }}, defaultMode: 0440, items: [{ key: {{ .key }}, path: nats.creds }] }
{{- end }}
{{- end }}
{{- if and .role (include "retort.nats.logins" .root) }}
# Its own password alone.
- name: nats-logins
  secret: { secretName: {{ include "retort.nats.logins" .root }}, defaultMode: 0440, items: [{ key: {{ .role }}, path: {{ .role }} }] }
{{- end }}
{{- with .root.Values.nats.tls.existingSecret }}
- { name: nats-tls, secret: { secretName: {{ . }}, defaultMode: 0440 } }
{{- end }}
{{- if and (gt (int .config.gpus) 0) .config.shmSize }}
- { name: shm, emptyDir: { medium: Memory, sizeLimit: {{ .config.shmSize }} } }
{{- end }}
{{- end }}

{{- /* Where a pod may run; GPU nodes are usually tainted with nvidia.com/gpu, whatever their resource is called. */ -}}
{{- define "retort.placement" -}}
{{- range $field := list "nodeSelector" "affinity" "topologySpreadConstraints" "runtimeClassName" "priorityClassName" }}
{{- with index $.config $field }}
{{ dict $field . | toYaml }}
{{- end }}
{{- end }}
{{- $tolerations := .config.tolerations }}
{{- if gt (int .config.gpus) 0 }}
{{- range $key := list "nvidia.com/gpu" .config.gpuResource | uniq }}
{{- $tolerations = append $tolerations (dict "key" $key "operator" "Exists" "effect" "NoSchedule") }}
{{- end }}
{{- end }}
{{- with $tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}
