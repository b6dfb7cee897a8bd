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
{{- mergeOverwrite $all (.component.annotations | default dict) | toYaml -}}
{{- end }}

{{- define "smallfirst.podSpec" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- $config := $component.config -}}
serviceAccountName: {{ include "smallfirst.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ int $config.graceSeconds }}
{{- if has $component.kind (list "Job" "Pod") }}
restartPolicy: {{ ternary "OnFailure" "Never" (eq $component.kind "Job") }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
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
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: {{ ternary "DoNotSchedule" "ScheduleAnyway" (eq $config.spread "hard") }}
    labelSelector:
      matchLabels:
        {{- include "smallfirst.selector" . | nindent 8 }}
{{- end }}
{{- if include "smallfirst.waitsForModels" . }}
initContainers:
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
containers:
  {{- range $container := $component.containers }}
  - name: {{ $container.name }}
    image: {{ include "smallfirst.image" (dict "root" $root "image" $component.image) }}
    imagePullPolicy: {{ $root.Values.images.pullPolicy }}
    command:
      {{- toYaml $container.command | nindent 6 }}
    env:
      {{- include "smallfirst.env" $ | nindent 6 }}
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
volumes:
  {{- include "smallfirst.volumes" . | nindent 2 }}
{{- end }}

{{- define "smallfirst.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
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
{{- toYaml $resources -}}
{{- end }}

{{- define "smallfirst.env" -}}
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
{{- $settings = merge $settings (dict "METRICS_HOST" "0.0.0.0" "METRICS_PORT" (int $root.Values.metrics.port)) -}}
{{- end -}}
{{- $isTraced := and $component.hasTraces $root.Values.tracing.enabled -}}
{{- if $isTraced -}}
{{- $_ := set $settings "TRACING" true -}}
{{- end -}}
{{- $settings = mergeOverwrite $settings (deepCopy ($component.settings | default dict)) (deepCopy ($component.config.settings | default dict)) -}}
- {name: HOME, value: /tmp}
{{- with $component.role }}
- name: SMALLFIRST_REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "smallfirst.redisSecret" $root }}
      key: {{ include "smallfirst.redisKey" (dict "root" $root "key" (printf "%s-url" .)) }}
{{- if include "smallfirst.hasBroker" $root }}
- name: SMALLFIRST_BROKER_URL
  {{- if has . (list "producer" "desk") }}
  {{- /* It is no client of Celery's: it has no right there, and connects never. */}}
  value: {{ printf "redis://%s:%d/0" $root.Values.redis.external.broker.host (int $root.Values.redis.external.broker.port) | quote }}
  {{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ include "smallfirst.redisSecret" $root }}
      key: {{ include "smallfirst.redisKey" (dict "root" $root "key" (include "smallfirst.brokerKey" (dict "root" $root "role" .))) }}
  {{- end }}
{{- end }}
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
{{- with $component.config.extraEnv }}
{{ tpl (toYaml .) $root }}
{{- end }}
{{- end }}

{{/* A number as a person writes it: whole ones without a point or an exponent. */}}
{{- define "smallfirst.plain" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end }}

{{- define "smallfirst.mountsModels" -}}
{{- if and .component.modelCache (include "smallfirst.modelClaim" .root) }}true{{ end -}}
{{- end }}

{{- define "smallfirst.mountsRedisCa" -}}
{{- $external := .root.Values.redis.external -}}
{{- if and .component.role $external.enabled $external.ca.existingSecret }}true{{ end -}}
{{- end }}

{{- define "smallfirst.mounts" -}}
- {name: tmp, mountPath: /tmp}
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
{{- with .component.config.extraVolumeMounts }}
{{ tpl (toYaml .) $.root }}
{{- end }}
{{- end }}

{{- define "smallfirst.volumes" -}}
{{- $root := .root -}}
- name: tmp
  emptyDir: {sizeLimit: {{ .component.config.tmpSize }}}
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
  persistentVolumeClaim:
    claimName: {{ include "smallfirst.modelClaim" $root }}
    readOnly: {{ not .component.writesModels }}
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
{{- with .component.config.extraVolumes }}
{{ tpl (toYaml .) $root }}
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
