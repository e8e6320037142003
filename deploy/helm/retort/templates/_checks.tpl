{{- /* What would go wrong only later, in a pod that waits or a port that is open: refused when the chart is rendered. */ -}}

{{- /* A quantity with its unit, such as 10Gi, in bytes. */ -}}
{{- define "retort.bytes" -}}
{{- $number := regexFind "^[0-9.]+" . -}}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 -}}
{{- mulf (float64 $number) (index $units (trimPrefix $number .)) | int64 -}}
{{- end }}

{{- define "retort.checks" -}}
{{- $v := .Values -}}
{{- if and (eq $v.weights.store "directory") (not (has "student" $v.data.roles)) -}}
{{- fail "weights.store directory needs the data volume in the students' pods: add student to data.roles" -}}
{{- end -}}
{{- if and (ne $v.controller.service.type "ClusterIP") (not $v.token.existingSecret) (not (and $v.tls.existingSecret $v.tls.clientAuth)) -}}
{{- fail (printf "controller.service.type %s lets anyone outside the cluster start runs: name a Secret with a token (token.existingSecret), or ask callers for certificates (tls.existingSecret, tls.clientAuth)" $v.controller.service.type) -}}
{{- end -}}
{{- if and (ne $v.controller.service.type "ClusterIP") (not $v.tls.existingSecret) -}}
{{- fail (printf "controller.service.type %s without TLS shows its callers' tokens to the network: name a Secret with a certificate (tls.existingSecret)" $v.controller.service.type) -}}
{{- end -}}
{{- if and (gt (int $v.controller.replicas) 1) (not $v.data.existingClaim) (not (has "ReadWriteMany" $v.data.accessModes)) -}}
{{- fail (printf "controller.replicas is %d, and one node at a time mounts the data volume: give data.accessModes: [ReadWriteMany], with a storage class that has it, or an existing claim (data.existingClaim)" (int $v.controller.replicas)) -}}
{{- end -}}
{{- if and (eq $v.weights.store "s3") (or $v.fetch.s3.endpoint $v.fetch.s3.region $v.fetch.s3.existingSecret) -}}
{{- fail "fetch.s3 and weights.store s3 would name two servers, and a process asks one: leave fetch.s3 out; what specs name in S3 is then fetched from the server of the weights, with its Secret" -}}
{{- end -}}
{{- if $v.nats.enabled -}}
{{- $name := ternary "maxFileStore" "size" (ne $v.nats.storage.maxFileStore "") -}}
{{- $size := index $v.nats.storage $name -}}
{{- if lt (include "retort.bytes" $size | int64) 536870912 -}}
{{- fail (printf "nats.storage.%s is %s, and the streams of prompts, rollouts, results and events need 512Mi: give it more; the default is 20Gi" $name $size) -}}
{{- end -}}
{{- end -}}
{{- range $profile := prepend (keys $v.profiles | sortAlpha) "" -}}
{{- range $role := list "learner" "reward" "student" "teacher" -}}
{{- $config := include "retort.role.config" (dict "root" $ "role" $role "profile" $profile) | fromJson -}}
{{- $where := empty $profile | ternary (printf "roles.%s" $role) (printf "profiles.%s, as roles.%s," $profile $role) -}}
{{- range $kind := list "requests" "limits" -}}
{{- range $resource, $_ := index $config.resources $kind | default dict -}}
{{- if or (eq $resource $config.gpuResource) (hasPrefix "nvidia.com/" $resource) (hasPrefix "amd.com/" $resource) -}}
{{- fail (printf "%s.resources.%s names %s: say gpus (and gpuResource), which also choose the CUDA image, the toleration and /dev/shm" $where $kind $resource) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $volumes := list -}}
{{- range $config.extraVolumes }}{{ $volumes = append $volumes .name }}{{ end -}}
{{- range $config.extraVolumeMounts -}}
{{- if not (has .name $volumes) -}}
{{- fail (printf "%s.extraVolumeMounts mounts %s, which extraVolumes does not have" $where .name) -}}
{{- end -}}
{{- end -}}
{{- range concat (list) $config.sidecars $config.initContainers -}}
{{- if has .name (list "retort" "retort-fetch" "retort-fetch-configs") -}}
{{- fail (printf "%s has a further container named %s, the name of one of the role's own: name it otherwise" $where .name) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $role "learner") (hasKey $config.podLabels "kueue.x-k8s.io/queue-name") -}}
{{- fail (printf "%s.podLabels names a queue of Kueue, which would suspend the learner's Job, as the controller does until every other role of the run has a pod: leave it out for the learner; the other roles' pods may have it" $where) -}}
{{- end -}}
{{- if and (eq $config.imageVariant "cpu") (gt (int $config.gpus) 0) -}}
{{- fail (printf "%s.imageVariant is cpu and gpus is %d: the image without CUDA can't use a GPU; leave imageVariant out" $where (int $config.gpus)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
