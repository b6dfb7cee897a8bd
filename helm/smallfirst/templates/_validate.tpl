{{/* What no schema can say. Every fault is told at once, each with the value that mends it. */}}

{{- define "smallfirst.validate" -}}
{{- $faults := include "smallfirst.faults.version" . | fromJsonArray -}}
{{- /* Nothing else can be looked at without what is missing. */}}
{{- if not $faults -}}
{{- $faults = include "smallfirst.faults.nulls" . | fromJsonArray -}}
{{- end -}}
{{- if not $faults -}}
{{- range list "names" "kinds" "redis" "peers" "catalogue" "files" "places" "models" "scaledTwice" "flower" "desk" "auditLog" "airGapped" -}}
{{- $faults = concat $faults (include (printf "smallfirst.faults.%s" .) $ | fromJsonArray) -}}
{{- end -}}
{{- range $name := include "smallfirst.poolNames" . | fromJsonArray -}}
{{- range $kind := list "pool" "fit" -}}
{{- $faults = concat $faults (include (printf "smallfirst.faults.%s" $kind) (dict "root" $ "name" $name) | fromJsonArray) -}}
{{- end -}}
{{- end -}}
{{- range $name, $component := include "smallfirst.components" . | fromYaml -}}
{{- $scope := dict "root" $ "name" $name "component" $component -}}
{{- range $kind := ternary (list "owned" "clashes" "resources" "scaling") (list "clashes" "resources") (eq $component.kind "Deployment") -}}
{{- $faults = concat $faults (include (printf "smallfirst.faults.%s" $kind) $scope | fromJsonArray) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $faults -}}
{{- fail (printf "\n\nThese values cannot work:\n- %s\n" (join "\n- " $faults)) -}}
{{- end -}}
{{- end }}

{{/*
Values of another chart: helm's --reuse-values keeps the defaults of the chart that was installed, too, and so
lacks what is new in this one. It cannot be told from its keys: null takes keys away as well.
*/}}
{{- define "smallfirst.faults.version" -}}
{{- $faults := list -}}
{{- $of := .Values.chartVersion | default "an older one" -}}
{{- if ne $of .Chart.Version -}}
{{- $faults = append $faults (printf "they are those of another chart (%s, and this is %s), with what it had where you said nothing: upgrade with --reset-then-reuse-values in the place of --reuse-values, and leave chartVersion out of your own" $of .Chart.Version) -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{/* A default that null took away, and without which nothing is rendered. */}}
{{- define "smallfirst.faults.nulls" -}}
{{- $faults := list -}}
{{- $needed := dict "defaults" (list "replicas" "graceSeconds" "startupSeconds" "resources" "tmpSize" "autoscaling" "pdb" "spread" "serviceAccount") -}}
{{- $_ := set $needed "poolDefaults" (list "enabled" "image" "threads" "passSeconds" "graceMarginSeconds" "startupSeconds" "resources" "gpu" "cacheSize" "autoscaling") -}}
{{- $_ := set $needed "catalogue" (list "content" "files") -}}
{{- range $part, $keys := $needed -}}
{{- range $keys -}}
{{- if or (not (hasKey (get $.Values $part) .)) (kindIs "invalid" (get (get $.Values $part) .)) -}}
{{- $faults = append $faults (printf "%s.%s may not be null: say what it is, or leave it out for what the chart has" $part .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{/* What stands twice in a pod, which a server-side apply refuses and others take by chance. */}}
{{- define "smallfirst.faults.clashes" -}}
{{- $faults := list -}}
{{- $config := .component.config -}}
{{- $root := .root -}}
{{- range $list := list (list "extraEnv" "chartEnv" "name") (list "extraVolumes" "chartVolumes" "name") (list "extraVolumeMounts" "chartMounts" "mountPath") -}}
{{- $taken := list -}}
{{- range include (printf "smallfirst.%s" (index $list 1)) $ | fromYamlArray }}{{ $taken = append $taken (get . (index $list 2)) }}{{ end -}}
{{- if and (eq $.component.kind "StatefulSet") (eq (index $list 0) "extraVolumes") }}{{ $taken = append $taken "data" }}{{ end -}}
{{- range tpl (get $config (index $list 0) | default list | toYaml) $root | fromYamlArray -}}
{{- $name := get . (index $list 2) -}}
{{- if has $name $taken -}}
{{- $faults = append $faults (printf "%s: %s has %s, which is the chart's or stands there twice" $.name (index $list 0) $name) -}}
{{- end -}}
{{- $taken = append $taken $name -}}
{{- end -}}
{{- end -}}
{{- $names := list "wait-for-models" -}}
{{- range .component.containers }}{{ $names = append $names .name }}{{ end -}}
{{- range tpl (concat ($config.initContainers | default list) ($config.sidecars | default list) | toYaml) $root | fromYamlArray -}}
{{- if has .name $names -}}
{{- $faults = append $faults (printf "%s: two containers would have the name %s" $.name .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- $addresses := list -}}
{{- range $config.hostAliases -}}
{{- if has .ip $addresses -}}
{{- $faults = append $faults (printf "%s: hostAliases has %s twice: give one entry all its hostnames" $.name .ip) -}}
{{- end -}}
{{- $addresses = append $addresses .ip -}}
{{- end -}}
{{- range $label, $_ := $config.podLabels -}}
{{- if has $label (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component") -}}
{{- $faults = append $faults (printf "%s: podLabels.%s is what its pods are selected by" $.name $label) -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{- define "smallfirst.faults.names" -}}
{{- $faults := list -}}
{{- range $label, $_ := merge (dict) .Values.commonLabels .Values.metrics.dashboards.labels .Values.metrics.podMonitor.labels .Values.metrics.alerts.labels -}}
{{- if has $label (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/managed-by" "helm.sh/chart") -}}
{{- $faults = append $faults (printf "a label %s of yours would hide from whom an object is: choose another" $label) -}}
{{- end -}}
{{- end -}}
{{- $name := include "smallfirst.fullname" . -}}
{{- if contains "." $name -}}
{{- $faults = append $faults (printf "the release's name gives objects the name %s, and no Service may have a dot: set fullnameOverride" $name) -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{/*
Kinds that Kubernetes does not bring. Only a cluster that was asked tells kinds too ("v1/Pod"), as does
whoever renders for one; `helm template` alone knows of none, and nothing is refused there.
*/}}
{{- define "smallfirst.faults.kinds" -}}
{{- $faults := list -}}
{{- $needed := dict -}}
{{- if .Values.metrics.enabled -}}
{{- if .Values.metrics.podMonitor.enabled -}}
{{- $_ := set $needed "monitoring.coreos.com/v1/PodMonitor" "metrics.podMonitor.enabled needs Prometheus's operator, or false" -}}
{{- end -}}
{{- if .Values.metrics.alerts.enabled -}}
{{- $_ := set $needed "monitoring.coreos.com/v1/PrometheusRule" "metrics.alerts.enabled needs Prometheus's operator, or false" -}}
{{- end -}}
{{- end -}}
{{- if or .Values.flower.httpRoute.enabled .Values.desk.httpRoute.enabled -}}
{{- $_ := set $needed "gateway.networking.k8s.io/v1/HTTPRoute" "httpRoute.enabled needs the Gateway API, or an ingress in its place" -}}
{{- end -}}
{{- range include "smallfirst.components" . | fromYaml -}}
{{- if and (eq .kind "Deployment") (eq (dig "config" "autoscaling" "type" "none" .) "keda") -}}
{{- $_ := set $needed "keda.sh/v1alpha1/ScaledObject" "autoscaling.type keda needs KEDA, or hpa" -}}
{{- end -}}
{{- end -}}
{{- if .Capabilities.APIVersions.Has "v1/Pod" -}}
{{- range $kind, $told := $needed -}}
{{- if not ($.Capabilities.APIVersions.Has $kind) -}}
{{- $faults = append $faults (printf "the cluster knows no %s: %s" $kind $told) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{- define "smallfirst.faults.redis" -}}
{{- $faults := list -}}
{{- $external := .Values.redis.external -}}
{{- if $external.enabled -}}
{{- if not $external.existingSecret -}}
{{- $faults = append $faults "redis.external.existingSecret is needed where redis.external.enabled" -}}
{{- end -}}
{{- if not (or $external.host $external.sentinel.hosts $external.cluster.hosts) -}}
{{- $faults = append $faults "redis.external.host is needed where redis.external.enabled, or sentinel.hosts, or cluster.hosts" -}}
{{- end -}}
{{- if and $external.sentinel.hosts $external.cluster.hosts -}}
{{- $faults = append $faults "redis.external has sentinel.hosts or cluster.hosts, not both" -}}
{{- end -}}
{{- if and $external.cluster.hosts (not $external.broker.host) -}}
{{- $faults = append $faults "redis.external.broker.host is needed beside cluster.hosts: Celery's transport knows no cluster" -}}
{{- end -}}
{{- if and $external.sentinel.hosts (not $external.sentinel.master) -}}
{{- $faults = append $faults "redis.external.sentinel.master is needed beside sentinel.hosts" -}}
{{- end -}}
{{- range $key, $_ := omit $external.keys "worker-url" "broker-worker-url" -}}
{{- $pool := $key | trimPrefix "broker-" | trimPrefix "worker-" | trimSuffix "-url" -}}
{{- if and (hasPrefix "worker-" (trimPrefix "broker-" $key)) (not (has $pool (include "smallfirst.servedPools" $ | fromJsonArray))) -}}
{{- $faults = append $faults (printf "redis.external.keys.%s names the pool %s, which no entry of pools serves" $key $pool) -}}
{{- end -}}
{{- end -}}
{{- else if not .Values.redis.internal.enabled -}}
{{- $faults = append $faults "a fleet needs a Redis: redis.internal.enabled or redis.external.enabled" -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{/* A way out that is left unsaid would be one to anywhere, or none: it is to be said which. */}}
{{- define "smallfirst.faults.peers" -}}
{{- $faults := list -}}
{{- $external := .Values.redis.external -}}
{{- $oidc := .Values.desk.auth.oidc -}}
{{- $ways := dict -}}
{{- if $external.enabled }}{{ $_ := set $ways "redis.external.peers" (dict "peers" $external.peers "of" "Redis") }}{{ end -}}
{{- if include "smallfirst.hasBroker" . }}{{ $_ := set $ways "redis.external.broker.peers" (dict "peers" $external.broker.peers "of" "the broker") }}{{ end -}}
{{- if and .Values.desk.enabled $oidc.issuer }}{{ $_ := set $ways "desk.auth.oidc.peers" (dict "peers" $oidc.peers "of" "the provider") }}{{ end -}}
{{- range $name, $way := $ways -}}
{{- if and $.Values.networkPolicy.enabled (kindIs "invalid" $way.peers) -}}
{{- $faults = append $faults (printf "%s is needed where networkPolicy.enabled: where %s is, [{ipBlock: {cidr: 10.20.0.0/16}}], or anywhere, [{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: \"::/0\"}}]" $name $way.of) -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{/* Pools of the catalogue and pools of the chart must be the same ones. */}}
{{- define "smallfirst.faults.catalogue" -}}
{{- $faults := list -}}
{{- if not (or .Values.catalogue.existingConfigMap .Values.catalogue.existingClaim) -}}
{{- $catalogue := .Values.catalogue.content | fromYaml -}}
{{- $declared := include "smallfirst.entries" (dict "root" . "key" "pools") | fromJson -}}
{{- if not (trim .Values.catalogue.content) -}}
{{- $faults = append $faults "the fleet needs a catalogue: --set-file catalogue.content=catalogue.yaml (at an upgrade too, or --reset-then-reuse-values), catalogue.existingConfigMap or catalogue.existingClaim" -}}
{{- else if $catalogue.Error -}}
{{- $faults = append $faults (printf "catalogue.content is no YAML: %s" $catalogue.Error) -}}
{{- else -}}
{{- $served := list -}}
{{- $gpus := list -}}
{{- range include "smallfirst.poolNames" . | fromJsonArray -}}
{{- $pool := include "smallfirst.pool" (dict "root" $ "name" .) | fromYaml -}}
{{- $name := $pool.pool | default . -}}
{{- $served = append $served $name -}}
{{- $gpus = append $gpus (int $pool.gpu.count) -}}
{{- if not (hasKey $declared $name) -}}
{{- $faults = append $faults (printf "pools.%s serves the pool %s, which the catalogue does not declare" . $name) -}}
{{- end -}}
{{- end -}}
{{- range $name, $model := include "smallfirst.entries" (dict "root" . "key" "models") | fromJson -}}
{{- $wanted := int ($model.tensor_parallel_size | default 1) -}}
{{- if and (gt $wanted 1) (not (has $wanted $gpus)) -}}
{{- $faults = append $faults (printf "the catalogue's model %s is spread over %d GPUs (tensor_parallel_size), and no pool has gpu.count %d" $name $wanted $wanted) -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := $declared -}}
{{- if not (has $name $served) -}}
{{- $faults = append $faults (printf "no entry of pools serves the catalogue's pool %s: its jobs would wait for ever" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{- define "smallfirst.faults.models" -}}
{{- $faults := list -}}
{{- $download := .Values.modelCache.download -}}
{{- if and $download.enabled (not (or $download.models $download.script)) -}}
{{- $faults = append $faults "modelCache.download.models names nothing to fetch, and there is no modelCache.download.script" -}}
{{- end -}}
{{- if and $download.models $download.script -}}
{{- $faults = append $faults "modelCache.download has models or a script, not both: call `hf download` in the script" -}}
{{- end -}}
{{- if and $download.image (not $download.script) -}}
{{- $faults = append $faults "modelCache.download.image runs modelCache.download.script, which is empty" -}}
{{- end -}}
{{- if .Values.modelCache.image -}}
{{- if or $download.enabled (include "smallfirst.modelClaim" .) -}}
{{- $faults = append $faults "modelCache.image is mounted as /models in the place of a claim: leave create, existingClaim and download out" -}}
{{- end -}}
{{- if semverCompare "<1.31.0-0" .Capabilities.KubeVersion.Version -}}
{{- $faults = append $faults (printf "modelCache.image needs Kubernetes 1.31 or later, and this is %s: use a claim" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- end -}}
{{- if and $download.enabled (not (include "smallfirst.modelClaim" .)) -}}
{{- $faults = append $faults "modelCache.download needs a claim: modelCache.create or modelCache.existingClaim" -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{- define "smallfirst.faults.flower" -}}
{{- $faults := list -}}
{{- $flower := .Values.flower -}}
{{- $ways := list -}}
{{- if $flower.ingress.enabled -}}{{ $ways = append $ways "flower.ingress" }}{{- end -}}
{{- if $flower.httpRoute.enabled -}}{{ $ways = append $ways "flower.httpRoute" }}{{- end -}}
{{- if ne $flower.service.type "ClusterIP" -}}{{ $ways = append $ways (printf "flower.service.type %s" $flower.service.type) }}{{- end -}}
{{- if $flower.peers -}}{{ $ways = append $ways "flower.peers" }}{{- end -}}
{{- if and $flower.enabled $ways (not (include "smallfirst.hasFlowerAuth" .)) -}}
{{- $faults = append $faults (printf "%s would show Flower without auth: set flower.auth.existingSecret or flower.auth.basicAuth" (join ", " $ways)) -}}
{{- end -}}
{{- if and $flower.ingress.enabled (not $flower.ingress.host) -}}
{{- $faults = append $faults "flower.ingress.host is needed where flower.ingress.enabled" -}}
{{- end -}}
{{- if and $flower.httpRoute.enabled (not $flower.httpRoute.parentRefs) -}}
{{- $faults = append $faults "flower.httpRoute.parentRefs is needed where flower.httpRoute.enabled" -}}
{{- end -}}
{{- range concat (.Values.defaults.extraEnv | default list) ($flower.extraEnv | default list) -}}
{{- if has .name (list "FLOWER_UNAUTHENTICATED_API" "FLOWER_READ_ONLY" "FLOWER_AUTH_PROVIDER") -}}
{{- $faults = append $faults (printf "%s is not to be set: Flower here is read-only, and asks who is there" .name) -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{/* A log lies on a disk that outlives its pod, and is signed by a key that no chart makes. */}}
{{- define "smallfirst.faults.auditLog" -}}
{{- $faults := list -}}
{{- if and .Values.auditLog.enabled (not (and .Values.auditLog.existingClaim .Values.auditLog.existingSecret)) -}}
{{- $faults = append $faults "an audit log needs a place and a key: set auditLog.existingClaim, and auditLog.existingSecret (its key `key`: the file that `smallfirst audit-log key` writes)" -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{/* Nobody reads texts, or sends a password, but over HTTPS; nobody at all who has not signed in. */}}
{{- define "smallfirst.faults.desk" -}}
{{- $faults := list -}}
{{- $desk := .Values.desk -}}
{{- $asking := include "smallfirst.tasksOfPeople" . | fromJsonArray -}}
{{- if and $asking (not (or $desk.enabled $desk.elsewhere)) -}}
{{- $faults = append $faults (printf "the catalogue has %s ask a person, and no desk runs: set desk.enabled, or desk.elsewhere where one runs outside of this release" (join ", " $asking)) -}}
{{- end -}}
{{- if $desk.enabled -}}
{{- if not (or $desk.auth.existingSecret $desk.auth.users) -}}
{{- $faults = append $faults "a desk needs to know who may sign in: set desk.auth.users (the file that `smallfirst desk add-user` writes) or desk.auth.existingSecret" -}}
{{- end -}}
{{- $auth := $desk.auth -}}
{{- if and $auth.proxy.header (not $auth.proxy.from) -}}
{{- $faults = append $faults "desk.auth.proxy.from is needed beside header: anybody else could say the header too" -}}
{{- end -}}
{{- if and $auth.proxy.from (not $auth.proxy.header) -}}
{{- $faults = append $faults "desk.auth.proxy.header is needed beside from" -}}
{{- end -}}
{{- if and $auth.oidc.issuer (not $auth.oidc.clientId) -}}
{{- $faults = append $faults "desk.auth.oidc.clientId is needed beside issuer" -}}
{{- end -}}
{{- if and $auth.oidc.issuer (not (or $desk.ingress.enabled $desk.httpRoute.enabled)) -}}
{{- $faults = append $faults "desk.auth.oidc sends people back to the desk's own name: set desk.ingress or desk.httpRoute" -}}
{{- end -}}
{{- if and (not $auth.oidc.issuer) (or $auth.oidc.clientId $auth.oidc.existingSecret) -}}
{{- $faults = append $faults "desk.auth.oidc.issuer is needed beside clientId and existingSecret" -}}
{{- end -}}
{{- if and $desk.ingress.enabled (not (and $desk.ingress.host $desk.ingress.tlsSecret)) -}}
{{- $faults = append $faults "desk.ingress would show texts without HTTPS: set desk.ingress.host and desk.ingress.tlsSecret" -}}
{{- end -}}
{{- if $desk.httpRoute.enabled -}}
{{- if not (and $desk.httpRoute.parentRefs $desk.httpRoute.hostnames) -}}
{{- $faults = append $faults "desk.httpRoute.parentRefs and desk.httpRoute.hostnames are needed where desk.httpRoute.enabled" -}}
{{- end -}}
{{- range $desk.httpRoute.parentRefs -}}
{{- if not .sectionName -}}
{{- $faults = append $faults (printf "desk.httpRoute would show texts without HTTPS: set sectionName of the parentRef %s to the gateway's listener that speaks it" .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name := list "DESK_HOST" "DESK_PORT" "DESK_USERS" "DESK_SECRET" "DESK_HTTPS" "DESK_URL" "DESK_ANSWERS" "DESK_LOG" "DESK_PROXY_HEADER" "DESK_PROXY_FROM" "DESK_OIDC_ISSUER" "DESK_OIDC_CLIENT_ID" "DESK_OIDC_SECRET_FILE" "DESK_OIDC_CLAIM" -}}
{{- if hasKey ($desk.settings | default dict) $name -}}
{{- $faults = append $faults (printf "desk: settings.%s comes from another value" $name) -}}
{{- end -}}
{{- end -}}
{{- else if or $desk.ingress.enabled $desk.httpRoute.enabled -}}
{{- $faults = append $faults "desk.ingress and desk.httpRoute lead to a desk: set desk.enabled" -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{- define "smallfirst.faults.airGapped" -}}
{{- $faults := list -}}
{{- if .Values.airGapped -}}
{{- if .Values.modelCache.download.enabled -}}
{{- $faults = append $faults "airGapped forbids modelCache.download: fill modelCache.existingClaim from within, or mount modelCache.image" -}}
{{- end -}}
{{- if not (or .Values.images.registry (eq .Values.images.pullPolicy "Never")) -}}
{{- $faults = append $faults "airGapped needs images.registry, or images.pullPolicy Never where nodes hold the images" -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{/* One value per pool, passSeconds, and what must hold beside it. */}}
{{- define "smallfirst.faults.pool" -}}
{{- $faults := list -}}
{{- $pool := include "smallfirst.pool" . | fromYaml -}}
{{- $lease := .root.Values.leaseSeconds -}}
{{- $least := int (ceil (addf $lease 5)) -}}
{{- if lt (int $pool.graceMarginSeconds) $least -}}
{{- $faults = append $faults (printf "pools.%s: graceMarginSeconds %d is less than %d (leaseSeconds and 5): a worker that finished its pass could be killed before it has settled" .name (int $pool.graceMarginSeconds) $least) -}}
{{- end -}}
{{- $beat := dig "settings" "HEARTBEAT_SECONDS" (dig "HEARTBEAT_SECONDS" 2 .root.Values.defaults.settings) $pool -}}
{{- if ge (float64 $beat) (float64 $lease) -}}
{{- $faults = append $faults (printf "pools.%s: a heartbeat every %v s cannot keep a lease of %v s (leaseSeconds)" .name $beat $lease) -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{/* Settings that the chart makes from other values, or on which its probes and mounts rest. */}}
{{- define "smallfirst.faults.owned" -}}
{{- $faults := list -}}
{{- $owned := list "NAMESPACE" "SLICES" "PRODUCERS" "CATALOGUE" "REDIS_URL" "BROKER_URL" "HEALTH_DIR" "METRICS_HOST" "METRICS_PORT" "TRACING" -}}
{{- $owned = concat $owned (keys (.component.settings | default dict)) | uniq | sortAlpha -}}
{{- range $setting := $owned -}}
{{- if and (hasKey ($.component.config.settings | default dict) $setting) (not (hasPrefix "DESK_" $setting)) -}}
{{- $faults = append $faults (printf "%s: settings.%s comes from another value" $.name $setting) -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{/* A quantity as a number: 250m, 1Gi; or a count of the catalogue: 7.6B. */}}
{{- define "smallfirst.number" -}}
{{- $units := dict "m" 0.001 "k" 1e3 "K" 1e3 "M" 1e6 "G" 1e9 "B" 1e9 "T" 1e12 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 -}}
{{- $text := toString . -}}
{{- $unit := regexFind "[A-Za-z]+$" $text -}}
{{- mulf (trimSuffix $unit $text | float64) (get $units $unit | default 1.0) -}}
{{- end }}

{{- define "smallfirst.faults.resources" -}}
{{- $faults := list -}}
{{- $resources := include "smallfirst.resources" .component.config | fromYaml -}}
{{- range $name, $request := $resources.requests -}}
{{- $limit := get ($resources.limits | default dict) $name -}}
{{- if and $limit (gt (include "smallfirst.number" $request | float64) (include "smallfirst.number" $limit | float64)) -}}
{{- $faults = append $faults (printf "%s: resources.requests.%s %v is more than its limit, %v" $.name $name $request $limit) -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{- define "smallfirst.faults.scaling" -}}
{{- $faults := list -}}
{{- $config := .component.config -}}
{{- $scaling := $config.autoscaling -}}
{{- $name := .name -}}
{{- if and (eq .name "router") (eq $scaling.type "none") (lt (int $config.replicas) 1) -}}
{{- $faults = append $faults "router: without replicas no job would be read: 1 or more, and kubectl scale for a pause" -}}
{{- end -}}
{{- if ne $scaling.type "none" -}}
{{- if lt (int $scaling.maxReplicas) (int $scaling.minReplicas) -}}
{{- $faults = append $faults (printf "%s: autoscaling.maxReplicas is less than minReplicas" $name) -}}
{{- end -}}
{{- if and (eq (int $scaling.minReplicas) 0) (not (and (eq $scaling.type "keda") .component.canRest)) -}}
{{- $faults = append $faults (printf "%s: autoscaling.minReplicas 0 needs keda, and is for pools alone: a router sends what waits on their backlogs" $name) -}}
{{- end -}}
{{- if and (eq $scaling.type "keda") (not .component.streams) -}}
{{- $faults = append $faults (printf "%s: nothing waits for it that KEDA could count" $name) -}}
{{- end -}}
{{- if and (eq $scaling.type "keda") (eq (int $scaling.minReplicas) 0) (lt (int $scaling.cooldownSeconds) (int $config.startupSeconds)) -}}
{{- $faults = append $faults (printf "%s: autoscaling.cooldownSeconds %d is less than startupSeconds %d: it would load its models more than it answers" $name (int $scaling.cooldownSeconds) (int $config.startupSeconds)) -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}
