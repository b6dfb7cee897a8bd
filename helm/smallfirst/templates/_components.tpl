{{/*
Which components there are, each as one entry; every template walks over them. A further component is
one more `define` here and one more line in `smallfirst.components`.

    kind        Deployment, StatefulSet, Job or Pod
    config      its values: `defaults` with its own laid over them
    image       which of `images`
    containers  [{name, command}]
    role        its user in Redis; none: it does not connect
    settings    SMALLFIRST_* without the prefix
    hasTraces   whether it sends spans, where `tracing.enabled`
    hasMetrics  whether Prometheus may read it, where `metrics.enabled`
    env         other variables, as in a container
    secretVariables  {variable: {name, key}}: those whose value is a key of a Secret
    secrets     paths of the mounts that it needs beside those of the shared template
    ownImage    an image's full name, in the place of one of `images`
    ports       [{name, port}]
    probes      {startup, liveness, readiness}, as in a container
    streams     {short name: stream}, and `group`: what waits for it, for KEDA
    ingress     rules of its NetworkPolicy; `egress` likewise, beside names and Redis
    catalogue, modelCache: whether it mounts them
    isAlone     whether a new pod waits until the old one is gone
*/}}

{{- define "smallfirst.components" -}}
{{- $all := dict "router" (include "smallfirst.component.router" . | fromYaml) -}}
{{- range include "smallfirst.poolNames" . | fromJsonArray -}}
{{- $entry := include "smallfirst.component.pool" (dict "root" $ "name" .) | fromYaml -}}
{{- $_ := set $all (printf "pool-%s" .) $entry -}}
{{- end -}}
{{- if .Values.flower.enabled -}}
{{- $_ := set $all "flower" (include "smallfirst.component.flower" . | fromYaml) -}}
{{- end -}}
{{- if .Values.desk.enabled -}}
{{- $_ := set $all "desk" (include "smallfirst.component.desk" . | fromYaml) -}}
{{- end -}}
{{- if .Values.auditLog.enabled -}}
{{- $_ := set $all "audit-log" (include "smallfirst.component.auditLog" . | fromYaml) -}}
{{- end -}}
{{- if .Values.metrics.enabled -}}
{{- $_ := set $all "exporter" (include "smallfirst.component.exporter" . | fromYaml) -}}
{{- end -}}
{{- if include "smallfirst.hasInternalRedis" . -}}
{{- $_ := set $all "redis" (include "smallfirst.component.redis" . | fromYaml) -}}
{{- end -}}
{{- if .Values.modelCache.download.enabled -}}
{{- $_ := set $all "download" (include "smallfirst.component.download" . | fromYaml) -}}
{{- end -}}
{{- if include "smallfirst.testJobs" . | fromJson -}}
{{- $_ := set $all "test" (include "smallfirst.component.test" . | fromYaml) -}}
{{- end -}}
{{- range $name, $component := $all -}}
{{- with $component.Error -}}{{- fail (printf "component %s: %s" $name .) -}}{{- end -}}
{{- end -}}
{{- toYaml $all -}}
{{- end }}

{{- define "smallfirst.hasInternalRedis" -}}
{{- if and .Values.redis.internal.enabled (not .Values.redis.external.enabled) }}true{{ end -}}
{{- end }}

{{/* `defaults` with a component's own values over them: (dict "root" $ "own" .Values.router). */}}
{{- define "smallfirst.config" -}}
{{- $config := mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy .own) -}}
{{- range $context := list "podSecurityContext" "containerSecurityContext" -}}
{{- $keys := get $config $context | default dict -}}
{{- range $key, $value := get $.own $context | default dict -}}
{{- if kindIs "invalid" $value -}}{{- $keys = omit $keys $key -}}{{- end -}}
{{- end -}}
{{- if $.root.Values.openshift -}}{{- $keys = omit $keys "runAsUser" "runAsGroup" "fsGroup" -}}{{- end -}}
{{- $_ := set $config $context $keys -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}

{{/* The probes of a router or worker, each if there is a command for it: (dict "root" $ "startupSeconds" 60). */}}
{{- define "smallfirst.probes" -}}
{{- $probes := dict -}}
{{- range $name, $probe := .root.Values.probes -}}
{{- if $probe.command -}}
{{- $made := dict "exec" (dict "command" $probe.command) -}}
{{- $_ := set $made "periodSeconds" (int $probe.periodSeconds) -}}
{{- $_ := set $made "timeoutSeconds" (int $probe.timeoutSeconds) -}}
{{- if eq $name "startup" -}}
{{- $_ := set $made "failureThreshold" (int (ceil (divf $.startupSeconds $probe.periodSeconds))) -}}
{{- else -}}
{{- $_ := set $made "failureThreshold" (int $probe.failureThreshold) -}}
{{- end -}}
{{- $_ := set $probes $name $made -}}
{{- end -}}
{{- end -}}
{{- toYaml $probes -}}
{{- end }}

{{- define "smallfirst.component.router" -}}
{{- $config := include "smallfirst.config" (dict "root" . "own" .Values.router) | fromYaml -}}
kind: Deployment
image: router
role: router
catalogue: true
modelCache: {{ .Values.modelCache.mountInRouter }}
containers:
  - name: router
    command: [python, -m, smallfirst_router]
settings:
  HEALTH_DIR: /tmp/health
  LEASE_SECONDS: {{ .Values.leaseSeconds }}
  {{- with .Values.producers }}
  {{- $weights := dict }}
  {{- range . }}{{ $_ := set $weights .name (int (.weight | default 1)) }}{{ end }}
  PRODUCERS: {{ toJson $weights | quote }}
  {{- end }}
hasMetrics: true
hasTraces: true
probes:
  {{- include "smallfirst.probes" (dict "root" . "startupSeconds" $config.startupSeconds) | nindent 2 }}
group: router
streams:
  {{- range $number := until (int .Values.slices) }}
  {{- $tag := printf "{%s:%d}" $.Values.namespace $number }}
  {{- $end := ternary "" (printf "_%d" $number) (eq $number 0) }}
  jobs{{ $end }}: {{ printf "%s:jobs:default" $tag | quote }}
  {{- /* By place: a name may hold what the formula of a ScaledObject takes for a minus. */}}
  {{- range $place, $producer := $.Values.producers }}
  jobs{{ $place }}{{ $end }}: {{ printf "%s:jobs:%s" $tag $producer.name | quote }}
  {{- end }}
  escalations{{ $end }}: {{ printf "%s:escalations" $tag | quote }}
  {{- end }}
config:
  {{- toYaml $config | nindent 2 }}
{{- end }}

{{/* One pool: (dict "root" $ "name" "cpu-small"). */}}
{{- define "smallfirst.component.pool" -}}
{{- $pool := include "smallfirst.pool" . | fromYaml -}}
{{- $config := include "smallfirst.config" (dict "root" .root "own" $pool) | fromYaml -}}
{{- $served := $pool.pool | default .name -}}
kind: Deployment
image: {{ $pool.image }}
role: {{ include "smallfirst.workerUser" (dict "root" .root "pool" $served) }}
catalogue: true
modelCache: {{ include "smallfirst.needsModels" (dict "root" .root "pool" $served) | default "false" }}
containers:
  - name: worker
    command: [python, -m, smallfirst_workers]
settings:
  CACHE_DIR: /var/cache/smallfirst
  HEALTH_DIR: /tmp/health
  LEASE_SECONDS: {{ .root.Values.leaseSeconds }}
  PASS_SECONDS: {{ int $pool.passSeconds }}
  POOL: {{ $served }}
  THREADS: {{ int $pool.threads }}
hasMetrics: true
hasTraces: true
probes:
  {{- include "smallfirst.probes" (dict "root" .root "startupSeconds" $config.startupSeconds) | nindent 2 }}
{{- if and (eq $pool.image "llm") (not (int $pool.gpu.count)) }}
env:
  # The image asks for all of them: a node whose runtime obeys would show GPUs that nobody counted.
  - {name: NVIDIA_VISIBLE_DEVICES, value: void}
{{- end }}
group: pool
streams:
  {{- range $number := until (int .root.Values.slices) }}
  {{- $backlog := printf "{%s:%d}:backlog:%s" $.root.Values.namespace $number $served }}
  {{- $end := ternary "" (printf "_%d" $number) (eq $number 0) }}
  interactive{{ $end }}: {{ printf "%s:interactive" $backlog | quote }}
  bulk{{ $end }}: {{ printf "%s:bulk" $backlog | quote }}
  {{- end }}
canRest: true
config:
  {{- $_ := set $config "graceSeconds" (add (int $pool.passSeconds) (int $pool.graceMarginSeconds)) }}
  {{- toYaml $config | nindent 2 }}
{{- end }}

{{- define "smallfirst.component.flower" -}}
{{- $config := include "smallfirst.config" (dict "root" . "own" .Values.flower) | fromYaml -}}
{{- $hasAuth := include "smallfirst.hasFlowerAuth" . -}}
{{- $secret := .Values.flower.auth.existingSecret | default (include "smallfirst.name" (dict "root" . "name" "flower")) -}}
kind: Deployment
image: flower
role: flower
containers:
  - name: flower
    command:
      - celery
      - -A
      - smallfirst.watch
      - flower
      - {{ printf "--address=%s" (ternary .Values.listenAddress "127.0.0.1" (not (empty $hasAuth))) | quote }}
      - --port=5555
      - --read_only=True
      - --max_tasks=10000
      - --tasks_columns=state,name,runtime,worker,received,result,args,uuid,started
settings:
  FLOWER_POOLS: {{ include "smallfirst.servedPools" . | fromJsonArray | join "," | quote }}
env:
  {{- if $hasAuth }}
  - name: FLOWER_BASIC_AUTH
    valueFrom: {secretKeyRef: {name: {{ $secret }}, key: basic-auth}}
  - name: FLOWER_COOKIE_SECRET
    valueFrom: {secretKeyRef: {name: {{ $secret }}, key: cookie-secret}}
  {{- else }}
  []
  {{- end }}
{{- if $hasAuth }}
ports: [{name: http, port: 5555}]
service:
  type: {{ .Values.flower.service.type }}
  port: {{ int .Values.flower.service.port }}
{{- end }}
{{- /* On :: it listens on no address of IPv4. */}}
{{- $loopback := ternary "[::1]" "127.0.0.1" (and (not (empty $hasAuth)) (eq .Values.listenAddress "::")) }}
{{- $look := printf "from urllib.request import urlopen; urlopen('http://%s:5555/healthcheck', timeout=4)" $loopback }}
probes:
  startup: {exec: {command: [python, -c, {{ $look | quote }}]}, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: {{ int (ceil (divf $config.startupSeconds 5)) }}}
  liveness: {exec: {command: [python, -c, {{ $look | quote }}]}, periodSeconds: 30, timeoutSeconds: 5, failureThreshold: 3}
  readiness: {exec: {command: [python, -c, {{ $look | quote }}]}, periodSeconds: 30, timeoutSeconds: 5, failureThreshold: 3}
{{- with .Values.flower.auth.basicAuth }}
annotations:
  checksum/auth: {{ sha256sum . }}
{{- end }}
ingress:
  {{- if and $hasAuth .Values.flower.peers }}
  - from:
      {{- toYaml .Values.flower.peers | nindent 6 }}
    ports: [{port: 5555, protocol: TCP}]
  {{- else }}
  []
  {{- end }}
config:
  {{- toYaml $config | nindent 2 }}
{{- end }}

{{/* Under which name people reach the desk; empty where they do by a port-forward alone. */}}
{{- define "smallfirst.deskHost" -}}
{{- if .Values.desk.ingress.enabled -}}
{{- .Values.desk.ingress.host -}}
{{- else if .Values.desk.httpRoute.enabled -}}
{{- first .Values.desk.httpRoute.hostnames -}}
{{- end -}}
{{- end }}

{{/*
The pages where people answer. Its users' file and the key of its sessions come from one Secret; what it
keeps, where it keeps anything, is on a claim that every replica mounts.
*/}}
{{- define "smallfirst.component.desk" -}}
{{- $own := omit .Values.desk "enabled" "elsewhere" "auth" "keep" "service" "ingress" "httpRoute" "peers" -}}
{{- $config := include "smallfirst.config" (dict "root" . "own" $own) | fromYaml -}}
{{- $secret := .Values.desk.auth.existingSecret | default (include "smallfirst.name" (dict "root" . "name" "desk")) -}}
{{- $keep := .Values.desk.keep -}}
kind: Deployment
image: desk
role: desk
catalogue: true
containers:
  - name: desk
    command: [python, -m, smallfirst_desk]
settings:
  HEALTH_DIR: /tmp/health
  DESK_HOST: {{ .Values.listenAddress | quote }}
  DESK_PORT: 8470
  DESK_USERS: /etc/smallfirst/desk/users.yaml
  {{- if or .Values.desk.ingress.enabled .Values.desk.httpRoute.enabled }}
  DESK_HTTPS: true
  {{- end }}
  {{- if $keep.existingClaim }}
  DESK_ANSWERS: /var/lib/smallfirst/answers
  DESK_LOG: /var/lib/smallfirst/actions
  {{- end }}
  {{- with .Values.desk.auth.proxy.header }}
  DESK_PROXY_HEADER: {{ . }}
  DESK_PROXY_FROM: {{ join "," $.Values.desk.auth.proxy.from | quote }}
  {{- end }}
  {{- with include "smallfirst.deskHost" . }}
  DESK_URL: https://{{ . }}
  {{- end }}
  {{- with .Values.desk.auth.oidc }}
  {{- if .issuer }}
  DESK_OIDC_ISSUER: {{ .issuer | quote }}
  DESK_OIDC_CLIENT_ID: {{ .clientId | quote }}
  DESK_OIDC_CLAIM: {{ .claim | quote }}
  {{- if .existingSecret }}
  DESK_OIDC_SECRET_FILE: /etc/smallfirst/desk-oidc/client-secret
  {{- end }}
  {{- end }}
  {{- end }}
secretVariables:
  SMALLFIRST_DESK_SECRET: {name: {{ $secret }}, key: session-key}
volumes:
  # Whole, so that a user who is taken out of it is signed out within a minute, without a restart.
  - name: desk-users
    secret:
      secretName: {{ $secret }}
      items: [{key: users.yaml, path: users.yaml}]
  {{- with .Values.desk.auth.oidc.existingSecret }}
  - name: desk-oidc
    secret:
      secretName: {{ . }}
      items: [{key: client-secret, path: client-secret}]
  {{- end }}
  {{- with $keep.existingClaim }}
  - name: kept
    persistentVolumeClaim: {claimName: {{ . }}}
  {{- end }}
mounts:
  - {name: desk-users, mountPath: /etc/smallfirst/desk, readOnly: true}
  {{- if .Values.desk.auth.oidc.existingSecret }}
  - {name: desk-oidc, mountPath: /etc/smallfirst/desk-oidc, readOnly: true}
  {{- end }}
  {{- if $keep.existingClaim }}
  - {name: kept, mountPath: /var/lib/smallfirst}
  {{- end }}
ports: [{name: http, port: 8470}]
service: {type: ClusterIP, port: {{ int .Values.desk.service.port }}}
probes:
  {{- include "smallfirst.probes" (dict "root" . "startupSeconds" $config.startupSeconds) | nindent 2 }}
ingress:
  {{- with .Values.desk.peers }}
  - from:
      {{- toYaml . | nindent 6 }}
    ports: [{port: 8470, protocol: TCP}]
  {{- else }}
  []
  {{- end }}
{{- with .Values.desk.auth.oidc }}
{{- if and .issuer .peers }}
egress:
  - to:
      {{- toYaml .peers | nindent 6 }}
    ports: [{port: {{ regexFind "[0-9]+$" (regexFind ":[0-9]+$" (urlParse .issuer).host) | default "443" }}, protocol: TCP}]
{{- end }}
{{- end }}
config:
  {{- toYaml $config | nindent 2 }}
{{- end }}

{{/* Counts, for Prometheus. That Redis is away it says in a metric, so no probe asks for more than its port. */}}
{{- define "smallfirst.component.exporter" -}}
{{- $config := include "smallfirst.config" (dict "root" . "own" .Values.exporter) | fromYaml -}}
kind: Deployment
image: router
role: exporter
catalogue: true
containers:
  - name: exporter
    command: [python, -m, smallfirst.exporter]
hasMetrics: true
probes:
  startup: {tcpSocket: {port: metrics}, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: {{ int (ceil (divf $config.startupSeconds 5)) }}}
  liveness: {tcpSocket: {port: metrics}, periodSeconds: 20, timeoutSeconds: 5, failureThreshold: 3}
  readiness: {tcpSocket: {port: metrics}, periodSeconds: 20, timeoutSeconds: 5, failureThreshold: 3}
config:
  {{- toYaml $config | nindent 2 }}
{{- end }}

{{/* Keeps the audit log. One pod has its folder at a time: a second would be turned away. */}}
{{- define "smallfirst.component.auditLog" -}}
{{- $own := omit .Values.auditLog "enabled" "existingClaim" "existingSecret" -}}
{{- $config := include "smallfirst.config" (dict "root" . "own" $own) | fromYaml -}}
{{- $_ := set $config "replicas" 1 -}}
kind: Deployment
isAlone: true
image: router
role: audit-log
containers:
  - name: audit-log
    command: [python, -m, smallfirst.audit_log]
settings:
  HEALTH_DIR: /tmp/health
  AUDIT_LOG: /var/lib/smallfirst/audit-log
  AUDIT_LOG_KEY: /etc/smallfirst/audit-log/key
volumes:
  - name: audit-log-key
    secret:
      secretName: {{ .Values.auditLog.existingSecret }}
      items: [{key: key, path: key}]
  - name: kept
    persistentVolumeClaim: {claimName: {{ .Values.auditLog.existingClaim }}}
mounts:
  - {name: audit-log-key, mountPath: /etc/smallfirst/audit-log, readOnly: true}
  - {name: kept, mountPath: /var/lib/smallfirst}
probes:
  {{- include "smallfirst.probes" (dict "root" . "startupSeconds" $config.startupSeconds) | nindent 2 }}
config:
  {{- toYaml $config | nindent 2 }}
{{- end }}

{{- define "smallfirst.component.redis" -}}
{{- $own := omit .Values.redis.internal "enabled" "existingSecret" "maxMemoryMiB" "cpu" "persistence" -}}
{{- $config := include "smallfirst.config" (dict "root" . "own" $own) | fromYaml -}}
{{- $memory := printf "%dMi" (mul 2 (int .Values.redis.internal.maxMemoryMiB)) -}}
kind: StatefulSet
image: redis
containers:
  - name: redis
    command:
      - redis-server
      - --port
      - "6379"
      - --dir
      - /data
      - --save
      - ""
      - --appendonly
      - "yes"
      - --appendfsync
      - everysec
      - --maxmemory
      - {{ int .Values.redis.internal.maxMemoryMiB }}mb
      - --maxmemory-policy
      - noeviction
      # Both quote the arguments of commands, and so texts.
      - --slowlog-log-slower-than
      - "-1"
      - --crash-log-enabled
      - "no"
      - --aclfile
      - /etc/redis/users.acl
env:
  - name: REDISCLI_AUTH
    valueFrom: {secretKeyRef: {name: {{ include "smallfirst.redisSecret" . }}, key: scaler-password}}
ports: [{name: redis, port: 6379}]
service: {type: ClusterIP, port: 6379}
volumes:
  - name: users
    secret:
      secretName: {{ include "smallfirst.redisSecret" . }}
      items: [{key: users.acl, path: users.acl}]
  {{- if not .Values.redis.internal.persistence.enabled }}
  - name: data
    emptyDir: {}
  {{- end }}
mounts:
  - {name: users, mountPath: /etc/redis, readOnly: true}
  - {name: data, mountPath: /data}
probes:
  startup: {tcpSocket: {port: redis}, periodSeconds: 5, timeoutSeconds: 3, failureThreshold: {{ int (ceil (divf $config.startupSeconds 5)) }}}
  liveness: {tcpSocket: {port: redis}, periodSeconds: 20, timeoutSeconds: 5, failureThreshold: 3}
  readiness:
    exec: {command: [sh, -c, "redis-cli --user scaler --no-auth-warning ping | grep -q PONG"]}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 3
annotations:
  checksum/users: {{ printf "%s %s %s %s" .Values.namespace (toJson .Values.producers) (include "smallfirst.servedPools" .) (.Files.Get "files/redis-acl.yaml") | sha256sum }}
config:
  {{- $_ := set $config "resources" (dict "requests" (dict "cpu" .Values.redis.internal.cpu "memory" $memory) "limits" (dict "memory" $memory)) }}
  {{- $_ := set $config "graceSeconds" (max 60 (int $config.graceSeconds)) }}
  {{- toYaml $config | nindent 2 }}
{{- end }}

{{/* Fetches models of the hub, or as a script says, into the claim, and leaves a mark when all of them are there. */}}
{{- define "smallfirst.component.download" -}}
{{- $commands := list -}}
{{- with .Values.modelCache.download.script -}}
{{- $commands = append $commands (trimSuffix "\n" .) -}}
{{- else -}}
{{- range .Values.modelCache.download.models -}}
{{- $commands = append $commands (printf "hf download %s --revision %s" .repository .revision) -}}
{{- end -}}
{{- end -}}
{{- $mark := printf "/models/.complete-%s" (include "smallfirst.downloadHash" .) -}}
{{- $commands = append $commands (printf "touch %s" $mark) -}}
kind: Job
image: slm
{{- with .Values.modelCache.download.image }}
ownImage: {{ . | quote }}
{{- end }}
modelCache: true
writesModels: true
containers:
  - name: download
    command: [sh, -ec, {{ join "\n" $commands | quote }}]
env:
  {{- with .Values.modelCache.download.tokenSecret.name }}
  - name: HF_TOKEN
    valueFrom: {secretKeyRef: {name: {{ . }}, key: {{ $.Values.modelCache.download.tokenSecret.key }}}}
  {{- else }}
  []
  {{- end }}
egress:
  {{- toYaml .Values.modelCache.download.egress | nindent 2 }}
config:
  {{- $own := omit .Values.modelCache.download "enabled" "models" "script" "image" "tokenSecret" "deadlineSeconds" "ttlSecondsAfterFinished" "egress" }}
  {{- include "smallfirst.config" (dict "root" . "own" $own) | nindent 2 }}
{{- end }}

{{/* The tasks of the values' own catalogue whose cascade ends at a person, as a list. */}}
{{- define "smallfirst.tasksOfPeople" -}}
{{- $tasks := list -}}
{{- range $task, $about := include "smallfirst.entries" (dict "root" . "key" "tasks") | fromJson -}}
{{- range include "smallfirst.steps" $about | fromJsonArray -}}
{{- if hasKey . "person" -}}{{- $tasks = append $tasks $task -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $tasks -}}
{{- end }}

{{/* What `helm test` submits, by task, as JSON: not what may wait for a person for days, unless it is named. */}}
{{- define "smallfirst.testJobs" -}}
{{- $jobs := dict -}}
{{- $asking := include "smallfirst.tasksOfPeople" . | fromJsonArray -}}
{{- range $task, $_ := include "smallfirst.entries" (dict "root" . "key" "tasks") | fromJson -}}
{{- if not (has $task $asking) -}}
{{- $_ := set $jobs $task $.Values.test.text -}}
{{- end -}}
{{- end -}}
{{- mergeOverwrite $jobs (deepCopy .Values.test.jobs) | toJson -}}
{{- end }}

{{- define "smallfirst.component.test" -}}
kind: Pod
image: router
role: producer
containers:
  {{- $named := dict }}
  {{- range $task, $text := include "smallfirst.testJobs" . | fromJson }}
  {{- $name := $task | replace "_" "-" | trunc 63 | trimAll "-" }}
  {{- /* Tasks a-b and a_b are two. */}}
  {{- if hasKey $named $name }}{{ $name = printf "%s-%s" (trunc 54 $name | trimAll "-") (sha256sum $task | trunc 8) }}{{ end }}
  {{- $_ := set $named $name $task }}
  - name: {{ $name | quote }}
    command:
      - python
      - -m
      - smallfirst
      - submit
      - --task
      - {{ $task }}
      - --wait
      - --timeout
      - {{ int $.Values.test.timeoutSeconds | quote }}
      - --
      - {{ $text | quote }}
  {{- end }}
config:
  {{- include "smallfirst.config" (dict "root" . "own" dict) | nindent 2 }}
{{- end }}
