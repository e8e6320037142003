{{- /*
A pod that starts a run over gRPC, as anybody would: of `helm test`, and of `runs`. The argument is a dict of root, args (what `retort
run` is given), and mounts and volumes of its own.
*/ -}}
{{- define "retort.caller" -}}
{{- $ := .root -}}
{{- $name := include "retort.name" $ -}}
{{- $context := dict "root" $ "config" (dict "gpus" 0) -}}
restartPolicy: Never
serviceAccountName: {{ $name }}-role
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml $.Values.podSecurityContext | nindent 2 }}
{{- with include "retort.placement" $context | trim }}
{{ . }}
{{- end }}
containers:
  - name: retort
    image: {{ include "retort.image" (dict "root" $ "cuda" false) }}
    imagePullPolicy: {{ $.Values.image.pullPolicy }}
    command:
      - node
      - dist/services/cli.js
      - run
      {{- range .args }}
      - {{ . }}
      {{- end }}
      - --controller={{ $name }}:{{ $.Values.controller.service.port }}
      {{- if $.Values.tls.existingSecret }}
      - --tls-ca=/etc/retort/tls/ca.crt
      {{- if $.Values.tls.clientAuth }}
      - --tls-cert=/etc/retort/tls/tls.crt
      - --tls-key=/etc/retort/tls/tls.key
      {{- end }}
      {{- end }}
    securityContext:
      {{- include "retort.containerSecurity" $ | nindent 6 }}
    {{- with $.Values.token.existingSecret }}
    env:
      - name: RETORT_TOKEN
        valueFrom: { secretKeyRef: { name: {{ . }}, key: {{ $.Values.token.runKey | default $.Values.token.key }} } }
    {{- end }}
    resources:
      requests: { cpu: 50m, memory: 96Mi }
      limits: { memory: 256Mi }
    volumeMounts:
      {{- include "retort.mounts" $context | nindent 6 }}
      {{- with .mounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  {{- include "retort.volumes" $context | nindent 2 }}
  {{- with .volumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
