{{/*
The one pod of the chart: (dict "root" $ "name" "router" "component" …). What is true of every pod
stands here alone: its security, its volumes, its way to Redis and to the catalogue.
*/}}

{{- define "smallfirst.podTemplate" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- $annotations := include "smallfirst.podAnnotations" . | fromYaml -}}
metadata:
  labels:
    {{- include "smallfirst.selector" . | nindent 4 }}
    {{- with $component.config.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "smallfirst.podSpec" . | nindent 2 }}
{{- end }}

{{- define "smallfirst.podAnnotations" -}}
{{- $catalogue := .root.Values.catalogue -}}
{{- $all := deepCopy (.component.config.podAnnotations | default dict) -}}
{{- if and .component.catalogue $catalogue.restartOnChange -}}
{{- $_ := set $all "checksum/catalogue" (printf "%s%s" $catalogue.content (toJson $catalogue.files) | sha256sum) -}}
{{- end -}}
{{- if ne .component.kind "Job" -}}
{{- with include "smallfirst.secretsChecksum" . }}{{ $_ := set $all "checksum/secrets" . }}{{ end -}}
{{- end -}}
{{- mergeOverwrite $all (.component.annotations | default dict) | toYaml -}}
{{- end }}

{{/*
What a pod reads at its start from Secrets that others made, as one hash, so that a changed password restarts
whoever has it, and nobody else. Empty where no cluster can be asked, and for what is read anew while it runs.
*/}}
{{- define "smallfirst.secretsChecksum" -}}
{{- $keys := list -}}
{{- range concat (include "smallfirst.chartEnv" . | fromYamlArray) (tpl (.component.config.extraEnv | default list | toYaml) .root | fromYamlArray) -}}
{{- with dig "valueFrom" "secretKeyRef" dict . }}{{ $keys = append $keys (printf "%s/%s" .name .key) }}{{ end -}}
{{- end -}}
{{- range .component.config.envFrom -}}
{{- with .secretRef }}{{ $keys = append $keys (printf "%s/" .name) }}{{ end -}}
{{- end -}}
{{- range concat (include "smallfirst.chartVolumes" . | fromYamlArray) (tpl (.component.config.extraVolumes | default list | toYaml) .root | fromYamlArray) -}}
{{- if ne .name "desk-users" -}}
{{- $sources := list (dict "name" (dig "secret" "secretName" "" .) "items" (dig "secret" "items" list .)) -}}
{{- range dig "projected" "sources" list . }}{{ $sources = append $sources (.secret | default dict) }}{{ end -}}
{{- range $source := $sources -}}
{{- if $source.name -}}
{{- range $source.items | default (list (dict "key" "")) }}{{ $keys = append $keys (printf "%s/%s" $source.name .key) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $values := .root.Values -}}
{{- $theirs := list $values.redis.internal.existingSecret $values.redis.external.existingSecret $values.flower.auth.existingSecret $values.desk.auth.existingSecret -}}
{{- $ours := list -}}
{{- range list "redis" "flower" "desk" }}{{ $ours = append $ours (include "smallfirst.name" (dict "root" $.root "name" .)) }}{{ end -}}
{{- $held := list -}}
{{- range $keys | uniq | sortAlpha -}}
{{- $name := splitList "/" . | first -}}
{{- $key := trimPrefix (printf "%s/" $name) . -}}
{{- if or (has $name $theirs) (not (has $name $ours)) -}}
{{- $data := (lookup "v1" "Secret" $.root.Release.Namespace $name).data | default dict -}}
{{- with ternary $data (pick $data $key) (empty $key) }}{{ $held = append $held (printf "%s %s" $name (toJson .)) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- with $held }}{{ toJson . | sha256sum }}{{ end -}}
{{- end }}

{{- define "smallfirst.podSpec" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- $config := $component.config -}}
{{- $isLasting := has $component.kind (list "Deployment" "StatefulSet") -}}
serviceAccountName: {{ $config.serviceAccount.name | default (include "smallfirst.name" .) }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ int $config.graceSeconds }}
{{- if has $component.kind (list "Job" "Pod") }}
restartPolicy: {{ ternary "OnFailure" "Never" (eq $component.kind "Job") }}
{{- end }}
securityContext:
  {{- toYaml $config.podSecurityContext | nindent 2 }}
{{- with $config.schedulerName }}
schedulerName: {{ . }}
{{- end }}
{{- with $config.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $config.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $config.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $config.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $config.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $config.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if and (eq $component.kind "Deployment") (ne $config.spread "none") }}
topologySpreadConstraints:
  {{- range $config.spreadOver }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ ternary "DoNotSchedule" "ScheduleAnyway" (eq $config.spread "hard") }}
    labelSelector:
      matchLabels:
        {{- include "smallfirst.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- with $config.resourceClaims }}
resourceClaims:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $first := include "smallfirst.ownContainers" (dict "root" $root "config" $config "key" "initContainers") }}
{{- if or $first (include "smallfirst.waitsForModels" .) }}
initContainers:
{{- end }}
{{- if include "smallfirst.waitsForModels" . }}
  - name: wait-for-models
    image: {{ include "smallfirst.image" (dict "root" $root "image" $component.image) }}
    imagePullPolicy: {{ $root.Values.images.pullPolicy }}
    command: [sh, -c, "until [ -e /models/.complete-{{ include "smallfirst.downloadHash" $root }} ]; do sleep 2; done"]
    resources:
      requests: {cpu: 10m, memory: 16Mi}
      limits: {memory: 64Mi}
    {{- include "smallfirst.containerSecurity" . | nindent 4 }}
    volumeMounts:
      - {name: models, mountPath: /models, readOnly: true}
{{- end }}
{{- with $first }}
  {{- . | nindent 2 }}
{{- end }}
containers:
  {{- range $container := $component.containers }}
  - name: {{ $container.name }}
    image: {{ $component.ownImage | default (include "smallfirst.image" (dict "root" $root "image" $component.image)) }}
    imagePullPolicy: {{ $root.Values.images.pullPolicy }}
    command:
      {{- toYaml $container.command | nindent 6 }}
    env:
      {{- include "smallfirst.env" $ | nindent 6 }}
    {{- with $config.envFrom }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- if $isLasting }}
    {{- with $config.lifecycle }}
    lifecycle:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- end }}
    {{- with $component.ports }}
    ports:
      {{- range . }}
      - {name: {{ .name }}, containerPort: {{ int .port }}, protocol: TCP}
      {{- end }}
    {{- end }}
    {{- if and $component.hasMetrics $root.Values.metrics.enabled }}
    ports:
      - {name: metrics, containerPort: {{ int $root.Values.metrics.port }}, protocol: TCP}
    {{- end }}
    {{- range $kind, $probe := $component.probes }}
    {{ $kind }}Probe:
      {{- toYaml $probe | nindent 6 }}
    {{- end }}
    resources:
      {{- include "smallfirst.resources" $config | nindent 6 }}
    {{- include "smallfirst.containerSecurity" $ | nindent 4 }}
    volumeMounts:
      {{- include "smallfirst.mounts" $ | nindent 6 }}
  {{- end }}
  {{- if $isLasting }}
  {{- with include "smallfirst.ownContainers" (dict "root" $root "config" $config "key" "sidecars") }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- end }}
volumes:
  {{- include "smallfirst.volumes" . | nindent 2 }}
{{- end }}

{{- define "smallfirst.containerSecurity" -}}
securityContext:
  {{- toYaml .component.config.containerSecurityContext | nindent 2 }}
{{- end }}

{{/* Containers of the values' own, as restricted as the chart's unless they say otherwise; empty where there is none. */}}
{{- define "smallfirst.ownContainers" -}}
{{- $containers := list -}}
{{- range tpl (get .config .key | toYaml) .root | fromYamlArray -}}
{{- $containers = append $containers (merge . (dict "securityContext" (deepCopy $.config.containerSecurityContext))) -}}
{{- end -}}
{{- with $containers }}{{ toYaml . }}{{ end -}}
{{- end }}

{{- define "smallfirst.waitsForModels" -}}
{{- if and .component.modelCache (not .component.writesModels) .root.Values.modelCache.download.enabled }}true{{ end -}}
{{- end }}

{{/* Requests and limits, with the GPUs, which must be equal in both. */}}
{{- define "smallfirst.resources" -}}
{{- $resources := deepCopy .resources -}}
{{- $count := int (dig "gpu" "count" 0 .) -}}
{{- if $count -}}
{{- $gpus := dict .gpu.resourceName $count -}}
{{- $resources = mergeOverwrite $resources (dict "requests" $gpus "limits" (deepCopy $gpus)) -}}
{{- end -}}
{{- with .resourceClaims -}}
{{- $claims := list -}}
{{- range . -}}
{{- $claims = append $claims (dict "name" .name) -}}
{{- end -}}
{{- $_ := set $resources "claims" $claims -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end }}

{{- define "smallfirst.env" -}}
{{ include "smallfirst.chartEnv" . }}
{{- with .component.config.extraEnv }}
{{ tpl (toYaml .) $.root }}
{{- end }}
{{- end }}

{{- define "smallfirst.chartEnv" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- $settings := dict -}}
{{- if $component.role -}}
{{- $settings = dict "NAMESPACE" $root.Values.namespace "SLICES" (int $root.Values.slices) "LOG_LEVEL" $root.Values.logLevel "LOG_FORMAT" "json" -}}
{{- end -}}
{{- if $component.catalogue -}}
{{- $_ := set $settings "CATALOGUE" "/etc/smallfirst/catalogue/catalogue.yaml" -}}
{{- end -}}
{{- if and $component.hasMetrics $root.Values.metrics.enabled -}}
{{- $settings = merge $settings (dict "METRICS_HOST" $root.Values.listenAddress "METRICS_PORT" (int $root.Values.metrics.port)) -}}
{{- end -}}
{{- $isTraced := and $component.hasTraces $root.Values.tracing.enabled -}}
{{- if $isTraced -}}
{{- $_ := set $settings "TRACING" true -}}
{{- end -}}
{{- $settings = mergeOverwrite $settings (deepCopy ($component.settings | default dict)) (deepCopy ($component.config.settings | default dict)) -}}
- {name: HOME, value: /tmp}
{{- if not $root.Values.secretsAsFiles }}
{{- range $variable, $key := include "smallfirst.secretVariables" . | fromYaml }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef:
      {{- toYaml $key | nindent 6 }}
{{- end }}
{{- end }}
{{- if and (include "smallfirst.hasBroker" $root) (has ($component.role | default "") (list "producer" "desk" "audit-log")) }}
{{- /* It is no client of Celery's: it has no right there, and connects never. */}}
- name: SMALLFIRST_BROKER_URL
  value: {{ printf "redis://%s/0" (include "smallfirst.hostPort" (dict "host" $root.Values.redis.external.broker.host "port" (int $root.Values.redis.external.broker.port))) | quote }}
{{- end }}
{{- range $name, $value := $settings }}
- {name: SMALLFIRST_{{ $name }}, value: {{ include "smallfirst.plain" $value | quote }}}
{{- end }}
{{- if $isTraced }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ $root.Values.tracing.endpoint | quote }}}
- {name: OTEL_TRACES_SAMPLER, value: parentbased_traceidratio}
- {name: OTEL_TRACES_SAMPLER_ARG, value: {{ $root.Values.tracing.ratio | quote }}}
{{- end }}
{{- if or $component.catalogue $component.modelCache }}
- {name: XDG_CACHE_HOME, value: {{ ternary "/var/cache/smallfirst" "/tmp" (hasKey $component.config "cacheSize") }}}
- {name: HF_HOME, value: {{ ternary "/models" "/tmp/huggingface" (not (empty (include "smallfirst.mountsModels" .))) }}}
{{- if $root.Values.airGapped }}
- {name: HF_HUB_OFFLINE, value: "1"}
- {name: TRANSFORMERS_OFFLINE, value: "1"}
- {name: HF_HUB_DISABLE_TELEMETRY, value: "1"}
- {name: DO_NOT_TRACK, value: "1"}
- {name: VLLM_NO_USAGE_STATS, value: "1"}
{{- end }}
{{- end }}
{{- with $component.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Which settings are keys of Secrets: {variable: {name, key}}. */}}
{{- define "smallfirst.secretVariables" -}}
{{- $found := deepCopy (.component.secretVariables | default dict) -}}
{{- $root := .root -}}
{{- with .component.role -}}
{{- $secret := include "smallfirst.redisSecret" $root -}}
{{- $key := include "smallfirst.redisKey" (dict "root" $root "key" (printf "%s-url" .)) -}}
{{- $_ := set $found "SMALLFIRST_REDIS_URL" (dict "name" $secret "key" $key) -}}
{{- if and (include "smallfirst.hasBroker" $root) (not (has . (list "producer" "desk" "audit-log"))) -}}
{{- $key = include "smallfirst.redisKey" (dict "root" $root "key" (include "smallfirst.brokerKey" (dict "root" $root "role" .))) -}}
{{- $_ := set $found "SMALLFIRST_BROKER_URL" (dict "name" $secret "key" $key) -}}
{{- end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end }}

{{/* Whether they are files, of the names that settings are looked for by. */}}
{{- define "smallfirst.hasSecretFiles" -}}
{{- if and .root.Values.secretsAsFiles (include "smallfirst.secretVariables" . | fromYaml) }}true{{ end -}}
{{- end }}

{{/* A number as a person writes it: whole ones without a point or an exponent. */}}
{{- define "smallfirst.plain" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end }}

{{- define "smallfirst.mountsModels" -}}
{{- if and .component.modelCache (include "smallfirst.hasModels" .root) }}true{{ end -}}
{{- end }}

{{- define "smallfirst.mountsRedisCa" -}}
{{- $external := .root.Values.redis.external -}}
{{- if and .component.role $external.enabled $external.ca.existingSecret }}true{{ end -}}
{{- end }}

{{- define "smallfirst.mounts" -}}
{{ include "smallfirst.chartMounts" . }}
{{- with .component.config.extraVolumeMounts }}
{{ tpl (toYaml .) $.root }}
{{- end }}
{{- end }}

{{- define "smallfirst.chartMounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if include "smallfirst.hasSecretFiles" . }}
- {name: secrets, mountPath: /run/secrets, readOnly: true}
{{- end }}
{{- if .component.catalogue }}
- {name: catalogue, mountPath: /etc/smallfirst/catalogue, readOnly: true}
{{- end }}
{{- if hasKey .component.config "cacheSize" }}
- {name: cache, mountPath: /var/cache/smallfirst}
{{- end }}
{{- if include "smallfirst.mountsModels" . }}
- {name: models, mountPath: /models, readOnly: {{ not .component.writesModels }}}
{{- end }}
{{- if include "smallfirst.mountsRedisCa" . }}
- {name: redis-ca, mountPath: /etc/smallfirst/redis-ca, readOnly: true}
{{- end }}
{{- if gt (int (dig "gpu" "count" 0 .component.config)) 1 }}
- {name: shared-memory, mountPath: /dev/shm}
{{- end }}
{{- with .component.mounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "smallfirst.volumes" -}}
{{ include "smallfirst.chartVolumes" . }}
{{- with .component.config.extraVolumes }}
{{ tpl (toYaml .) $.root }}
{{- end }}
{{- end }}

{{- define "smallfirst.chartVolumes" -}}
{{- $root := .root -}}
- name: tmp
  emptyDir: {sizeLimit: {{ .component.config.tmpSize }}}
{{- if include "smallfirst.hasSecretFiles" . }}
- name: secrets
  projected:
    sources:
      {{- range $variable, $key := include "smallfirst.secretVariables" . | fromYaml }}
      - secret:
          name: {{ $key.name }}
          items: [{key: {{ $key.key }}, path: {{ $variable }}}]
      {{- end }}
{{- end }}
{{- if .component.catalogue }}
- name: catalogue
  {{- include "smallfirst.catalogueVolume" $root | nindent 2 }}
{{- end }}
{{- with .component.config.cacheSize }}
- name: cache
  emptyDir: {sizeLimit: {{ . }}}
{{- end }}
{{- if include "smallfirst.mountsModels" . }}
- name: models
  {{- with $root.Values.modelCache.image }}
  image: {reference: {{ . | quote }}, pullPolicy: {{ $root.Values.images.pullPolicy }}}
  {{- else }}
  persistentVolumeClaim:
    claimName: {{ include "smallfirst.modelClaim" $root }}
    readOnly: {{ not .component.writesModels }}
  {{- end }}
{{- end }}
{{- if include "smallfirst.mountsRedisCa" . }}
- name: redis-ca
  secret:
    secretName: {{ $root.Values.redis.external.ca.existingSecret }}
    items: [{key: {{ $root.Values.redis.external.ca.key }}, path: ca.crt}]
{{- end }}
{{- if gt (int (dig "gpu" "count" 0 .component.config)) 1 }}
- name: shared-memory
  emptyDir: {medium: Memory, sizeLimit: {{ .component.config.gpu.sharedMemory }}}
{{- end }}
{{- with .component.volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The catalogue's folder: a ConfigMap whose keys cannot hold a slash, laid out by path, or a claim. */}}
{{- define "smallfirst.catalogueVolume" -}}
{{- if .Values.catalogue.existingClaim -}}
persistentVolumeClaim: {claimName: {{ .Values.catalogue.existingClaim }}, readOnly: true}
{{- else -}}
configMap:
  name: {{ include "smallfirst.catalogueConfigMap" . }}
  {{- if not .Values.catalogue.existingConfigMap }}
  items:
    - {key: catalogue.yaml, path: catalogue.yaml}
    {{- range $path, $_ := .Values.catalogue.files }}
    - {key: {{ $path | replace "/" "__" | quote }}, path: {{ $path | quote }}}
    {{- end }}
  {{- end }}
{{- end -}}
{{- end }}
