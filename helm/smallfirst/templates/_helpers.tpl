{{/* Names, labels and images: what every object of the chart shares. */}}

{{/* 37 characters leave room for the longest component, `-pool-` and 20 of a pool's name, within 63. */}}
{{- define "smallfirst.fullname" -}}
{{- $name := printf "%s-%s" .Release.Name .Chart.Name -}}
{{- if .Values.fullnameOverride -}}
{{- $name = .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- $name = .Release.Name -}}
{{- end -}}
{{- include "smallfirst.cut" (dict "name" $name "length" 37) -}}
{{- end }}

{{/* A name of at most so many characters; what is cut ends in a hash, so that no two become one. */}}
{{- define "smallfirst.cut" -}}
{{- if le (len .name) .length -}}
{{- .name -}}
{{- else -}}
{{- printf "%s-%s" (trunc (int (sub .length 9)) .name | trimSuffix "-") (sha256sum .name | trunc 8) -}}
{{- end -}}
{{- end }}

{{/* A host and its port, as in an address: (dict "host" "fd00::1" "port" 6379). */}}
{{- define "smallfirst.hostPort" -}}
{{- $host := .host | trimPrefix "[" | trimSuffix "]" -}}
{{- printf (ternary "[%s]:%v" "%s:%v" (contains ":" $host)) $host .port -}}
{{- end }}

{{/* Of one component: (dict "root" $ "name" "router"). */}}
{{- define "smallfirst.name" -}}
{{- printf "%s-%s" (include "smallfirst.fullname" .root) .name -}}
{{- end }}

{{- define "smallfirst.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{/* With `more`, of this object alone; whoever comes later wins, and no key stands twice. */}}
{{- define "smallfirst.labels" -}}
{{- $labels := include "smallfirst.selector" . | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $labels "app.kubernetes.io/part-of" .root.Chart.Name -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") -}}
{{- mergeOverwrite $labels (deepCopy .root.Values.commonLabels) (deepCopy (.more | default dict)) | toYaml -}}
{{- end }}

{{/* The port of who takes the spans: the address's, or its scheme's. */}}
{{- define "smallfirst.tracingPort" -}}
{{- $url := urlParse .Values.tracing.endpoint -}}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- end }}

{{/* The head of an object's metadata. */}}
{{- define "smallfirst.metadata" -}}
name: {{ include "smallfirst.name" . }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "smallfirst.labels" . | nindent 2 }}
{{- end }}

{{/* An image's full name; a digest wins over a tag: (dict "root" $ "image" "router"). */}}
{{- define "smallfirst.image" -}}
{{- $image := index .root.Values.images .image -}}
{{- $name := $image.repository -}}
{{- with $image.registry | default .root.Values.images.registry -}}
{{- $name = printf "%s/%s" (trimSuffix "/" .) $name -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{/* Where the Secret with Redis's addresses and passwords is, and which of its keys is a role's. */}}
{{- define "smallfirst.redisSecret" -}}
{{- if .Values.redis.external.enabled -}}
{{- .Values.redis.external.existingSecret -}}
{{- else -}}
{{- .Values.redis.internal.existingSecret | default (include "smallfirst.name" (dict "root" . "name" "redis")) -}}
{{- end -}}
{{- end }}

{{- define "smallfirst.redisKey" -}}
{{- $keys := dict -}}
{{- if .root.Values.redis.external.enabled -}}{{- $keys = .root.Values.redis.external.keys -}}{{- end -}}
{{- get $keys .key | default .key -}}
{{- end }}

{{/* As whom a pool's workers connect, or all workers: (dict "root" $ "pool" "cpu-small"). */}}
{{- define "smallfirst.workerUser" -}}
{{- $own := printf "worker-%s" .pool -}}
{{- $external := .root.Values.redis.external -}}
{{- ternary "worker" $own (and $external.enabled (not (hasKey $external.keys (printf "%s-url" $own)))) -}}
{{- end }}

{{- define "smallfirst.redisHost" -}}
{{- if .Values.redis.external.enabled -}}
{{- .Values.redis.external.host -}}
{{- else -}}
{{- printf "%s.%s.svc" (include "smallfirst.name" (dict "root" . "name" "redis")) .Release.Namespace -}}
{{- end -}}
{{- end }}

{{- define "smallfirst.redisPort" -}}
{{- if .Values.redis.external.enabled }}{{ int .Values.redis.external.port }}{{ else }}6379{{ end -}}
{{- end }}

{{/* The ConfigMap with the catalogue. */}}
{{- define "smallfirst.catalogueConfigMap" -}}
{{- .Values.catalogue.existingConfigMap | default (include "smallfirst.name" (dict "root" . "name" "catalogue")) -}}
{{- end }}

{{/* The claim with the models of the hub; empty where there is none. */}}
{{- define "smallfirst.modelClaim" -}}
{{- if .Values.modelCache.existingClaim -}}
{{- .Values.modelCache.existingClaim -}}
{{- else if .Values.modelCache.create -}}
{{- include "smallfirst.name" (dict "root" . "name" "models") -}}
{{- end -}}
{{- end }}

{{/* Whether there is a place for models beside those in the workers' image: a claim, or an image of theirs. */}}
{{- define "smallfirst.hasModels" -}}
{{- if or (include "smallfirst.modelClaim" .) .Values.modelCache.image }}true{{ end -}}
{{- end }}

{{/* What is to be fetched, as one short hash: names the mark that the Job leaves when it is done. */}}
{{- define "smallfirst.downloadHash" -}}
{{- $download := .Values.modelCache.download -}}
{{- ternary $download.script (toJson $download.models) (not (empty $download.script)) | sha256sum | trunc 10 -}}
{{- end }}

{{/* One pool's values: the defaults with the pool's own laid over them; (dict "root" $ "name" "cpu"). */}}
{{- define "smallfirst.pool" -}}
{{- mergeOverwrite (deepCopy .root.Values.poolDefaults) (deepCopy (index .root.Values.pools .name)) | toYaml -}}
{{- end }}

{{/* The pools of the catalogue that some Deployment serves, as a list. */}}
{{- define "smallfirst.servedPools" -}}
{{- $served := list -}}
{{- range fromJsonArray (include "smallfirst.poolNames" .) -}}
{{- $pool := include "smallfirst.pool" (dict "root" $ "name" .) | fromYaml -}}
{{- $served = append $served ($pool.pool | default .) -}}
{{- end -}}
{{- $served | uniq | sortAlpha | toJson -}}
{{- end }}

{{/* The names of the pools that are on, as a list. */}}
{{- define "smallfirst.poolNames" -}}
{{- $names := list -}}
{{- range $name, $own := .Values.pools -}}
{{- if kindIs "map" $own -}}
{{- if ternary $own.enabled $.Values.poolDefaults.enabled (hasKey $own "enabled") -}}
{{- $names = append $names $name -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $names -}}
{{- end }}

{{- define "smallfirst.hasFlowerAuth" -}}
{{- if or .Values.flower.auth.existingSecret .Values.flower.auth.basicAuth }}true{{ end -}}
{{- end }}

{{- define "smallfirst.redisDatabase" -}}
{{- if .Values.redis.external.enabled }}{{ int .Values.redis.external.database }}{{ else }}0{{ end -}}
{{- end }}

{{/* Whether Celery's lists are on another Redis than the fleet's. */}}
{{- define "smallfirst.hasBroker" -}}
{{- if and .Values.redis.external.enabled .Values.redis.external.broker.host }}true{{ end -}}
{{- end }}

{{/* Which key of the Secret is a role's address of that Redis: (dict "root" $ "role" "router"). */}}
{{- define "smallfirst.brokerKey" -}}
{{- $own := printf "broker-%s-url" .role -}}
{{- ternary "broker-worker-url" $own (and (hasPrefix "worker-" .role) (not (hasKey .root.Values.redis.external.keys $own))) -}}
{{- end }}

{{/* Where KEDA finds Redis, in its own words: one server, a cluster, or Sentinels and the master they know. */}}
{{- define "smallfirst.scalerAddress" -}}
{{- $external := .Values.redis.external -}}
{{- if and $external.enabled $external.cluster.hosts }}
addresses: {{ join "," $external.cluster.hosts | quote }}
{{- else }}
databaseIndex: {{ include "smallfirst.redisDatabase" . | quote }}
{{- if and $external.enabled $external.sentinel.hosts }}
addresses: {{ join "," $external.sentinel.hosts | quote }}
sentinelMaster: {{ $external.sentinel.master | quote }}
{{- else }}
address: {{ include "smallfirst.hostPort" (dict "host" (include "smallfirst.redisHost" .) "port" (include "smallfirst.redisPort" .)) | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* What kind of trigger counts the entries of a stream there. */}}
{{- define "smallfirst.scalerKind" -}}
{{- $external := .Values.redis.external -}}
{{- if and $external.enabled $external.cluster.hosts -}}
redis-cluster-streams
{{- else -}}
{{- ternary "redis-sentinel-streams" "redis-streams" (and $external.enabled (not (empty $external.sentinel.hosts))) -}}
{{- end -}}
{{- end }}

{{/* On which ports an external Redis is reached: its own, its Sentinels', or those of a cluster's nodes. */}}
{{- define "smallfirst.externalPorts" -}}
{{- $external := .Values.redis.external -}}
{{- $ports := list -}}
{{- if not $external.cluster.hosts -}}
{{- $ports = append $ports (int $external.port) -}}
{{- end -}}
{{- range concat $external.sentinel.hosts $external.cluster.hosts -}}
{{- $ports = append $ports (splitList ":" . | last | int) -}}
{{- end -}}
{{- range $ports | uniq }}
- {port: {{ . }}, protocol: TCP}
{{- end }}
{{- end }}
