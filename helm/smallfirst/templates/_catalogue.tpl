{{/* What the values' own catalogue says, and whether the chart was given what it names. */}}

{{/* Entries of one of the catalogue's mappings, by name, whatever may be wrong with it: (dict "root" $ "key" "pools"). */}}
{{- define "smallfirst.entries" -}}
{{- $found := dict -}}
{{- $catalogue := .root.Values.catalogue -}}
{{- if not (or $catalogue.existingConfigMap $catalogue.existingClaim) -}}
{{- $entries := get (fromYaml $catalogue.content) .key -}}
{{- if kindIs "map" $entries -}}
{{- range $name, $entry := $entries -}}
{{- $_ := set $found $name (ternary $entry dict (kindIs "map" $entry)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{/* The steps of a task's cascade that are mappings, as a list. */}}
{{- define "smallfirst.steps" -}}
{{- $steps := list -}}
{{- if kindIs "slice" .cascade -}}
{{- range .cascade -}}
{{- if kindIs "map" . -}}{{- $steps = append $steps . -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $steps -}}
{{- end }}

{{/* The files that the catalogue names, as a list of {place, path}. */}}
{{- define "smallfirst.namedFiles" -}}
{{- $named := list -}}
{{- range $name, $task := include "smallfirst.entries" (dict "root" . "key" "tasks") | fromJson -}}
{{- if kindIs "string" $task.examples -}}
{{- $named = append $named (dict "place" (printf "tasks.%s.examples" $name) "path" $task.examples) -}}
{{- end -}}
{{- $audit := ternary $task.audit dict (kindIs "map" $task.audit) -}}
{{- if kindIs "string" $audit.golden -}}
{{- $named = append $named (dict "place" (printf "tasks.%s.audit.golden" $name) "path" $audit.golden) -}}
{{- end -}}
{{- $accepts := list -}}
{{- range include "smallfirst.steps" $task | fromJsonArray }}{{ $accepts = append $accepts .accept }}{{ end -}}
{{- if has "calibrated" $accepts -}}
{{- $named = append $named (dict "place" (printf "tasks.%s.cascade (accept: calibrated)" $name) "path" (printf "calibration/%s.json" $name)) -}}
{{- end -}}
{{- end -}}
{{- range $name, $model := include "smallfirst.entries" (dict "root" . "key" "models") | fromJson -}}
{{- if kindIs "string" $model.ca_file -}}
{{- $named = append $named (dict "place" (printf "models.%s.ca_file" $name) "path" $model.ca_file) -}}
{{- end -}}
{{- end -}}
{{- toJson $named -}}
{{- end }}

{{/* Where a model comes from: bundled, remote, hub, claim (/models), path (another absolute one) or beside (a relative one). */}}
{{- define "smallfirst.modelPlace" -}}
{{- $source := toString (.source | default "bundled:") -}}
{{- if .endpoint -}}remote
{{- else if hasPrefix "bundled:" $source -}}bundled
{{- else if or (hasPrefix "/models/" $source) (eq $source "/models") -}}claim
{{- else if or (hasPrefix "/" $source) (hasPrefix "~" $source) -}}path
{{- else if or (has $source (list "." "..")) (hasPrefix "./" $source) (hasPrefix "../" $source) -}}beside
{{- else -}}hub
{{- end -}}
{{- end }}

{{/* Where the values mount something of their own, as a list. Could still miss that not every component does. */}}
{{- define "smallfirst.ownMounts" -}}
{{- $paths := list -}}
{{- range concat (list .Values.defaults .Values.router .Values.poolDefaults) (values .Values.pools) -}}
{{- if . -}}
{{- range .extraVolumeMounts }}{{ $paths = append $paths (trimSuffix "/" .mountPath) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- toJson (uniq $paths) -}}
{{- end }}

{{/* Whether an absolute path lies under such a mount: (dict "root" $ "path" "/data/x"). */}}
{{- define "smallfirst.isMounted" -}}
{{- range include "smallfirst.ownMounts" .root | fromJsonArray -}}
{{- if or (eq . $.path) (hasPrefix (printf "%s/" .) $.path) -}}true{{- end -}}
{{- end -}}
{{- end }}

{{/* Whether a pool may run a model that is not in its image: (dict "root" $ "pool" "gpu"). A size that is not told may fit. */}}
{{- define "smallfirst.needsModels" -}}
{{- $pool := get (include "smallfirst.entries" (dict "root" .root "key" "pools") | fromJson) .pool | default dict -}}
{{- $isNeeded := or .root.Values.catalogue.existingConfigMap .root.Values.catalogue.existingClaim -}}
{{- range $model := include "smallfirst.entries" (dict "root" .root "key" "models") | fromJson -}}
{{- $fits := eq ($model.tier | default "slm" | toString) ($pool.tier | default "slm" | toString) -}}
{{- if and $fits $model.parameters $pool.max_parameters -}}
{{- $fits = le (include "smallfirst.number" $model.parameters | float64) (include "smallfirst.number" $pool.max_parameters | float64) -}}
{{- end -}}
{{- $places := list (include "smallfirst.modelPlace" $model) -}}
{{- range $_, $folder := ternary $model.adapters dict (kindIs "map" $model.adapters) -}}
{{- $places = append $places (include "smallfirst.modelPlace" (dict "source" $folder)) -}}
{{- end -}}
{{- if and $fits (not $pool.remote) (or (has "hub" $places) (has "claim" $places)) -}}{{- $isNeeded = true -}}{{- end -}}
{{- end -}}
{{- if $isNeeded -}}true{{- end -}}
{{- end }}

{{/* A file that the catalogue names and the fleet would not find. */}}
{{- define "smallfirst.faults.files" -}}
{{- $faults := list -}}
{{- range include "smallfirst.namedFiles" . | fromJsonArray -}}
{{- $path := clean .path -}}
{{- if or (hasPrefix "/" $path) (hasPrefix "~" $path) -}}
{{- if not (include "smallfirst.isMounted" (dict "root" $ "path" $path)) -}}
{{- $faults = append $faults (printf "the catalogue's %s is %s, which nothing mounts: name it by its path beside the catalogue and give it by catalogue.files, or mount it (defaults.extraVolumeMounts)" .place .path) -}}
{{- end -}}
{{- else if or (eq $path "..") (hasPrefix "../" $path) -}}
{{- $faults = append $faults (printf "the catalogue's %s is %s, outside of the catalogue's folder: move it beside the catalogue" .place .path) -}}
{{- else if not (hasKey ($.Values.catalogue.files | default dict) $path) -}}
{{- $faults = append $faults (printf "the catalogue's %s is %s, which catalogue.files lacks: --set-file 'catalogue.files.%s=%s'" .place .path (replace "." "\\." $path) $path) -}}
{{- end -}}
{{- end -}}
{{- $taken := dict "catalogue.yaml" "catalogue.content" -}}
{{- $size := len .Values.catalogue.content -}}
{{- range $path, $content := .Values.catalogue.files -}}
{{- $size = add $size (len $content) -}}
{{- $key := replace "/" "__" $path -}}
{{- if hasKey $taken $key -}}
{{- $faults = append $faults (printf "catalogue.files: %s would have the key %s of the ConfigMap, as %s has: rename one" $path $key (get $taken $key)) -}}
{{- end -}}
{{- $_ := set $taken $key $path -}}
{{- range $other, $_ := $.Values.catalogue.files -}}
{{- if hasPrefix (printf "%s/" $path) $other -}}
{{- $faults = append $faults (printf "catalogue.files: %s cannot be a file and the folder of %s" $path $other) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if gt (int64 $size) 1048576 -}}
{{- $faults = append $faults (printf "catalogue.content and catalogue.files have %d bytes, and a ConfigMap holds 1048576: put them on a claim, catalogue.existingClaim" (int64 $size)) -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{/* A model that would be found nowhere. */}}
{{- define "smallfirst.faults.places" -}}
{{- $faults := list -}}
{{- $claim := include "smallfirst.hasModels" . -}}
{{- range $name, $model := include "smallfirst.entries" (dict "root" . "key" "models") | fromJson -}}
{{- $places := dict "source" $model -}}
{{- range $adapter, $folder := ternary $model.adapters dict (kindIs "map" $model.adapters) -}}
{{- $_ := set $places (printf "adapters.%s" $adapter) (dict "source" $folder) -}}
{{- end -}}
{{- range $key, $one := $places -}}
{{- $what := printf "the catalogue's models.%s.%s, %v," $name $key $one.source -}}
{{- $place := include "smallfirst.modelPlace" $one -}}
{{- if eq $place "beside" -}}
{{- $faults = append $faults (printf "%s is a folder beside the catalogue, which no ConfigMap holds: put it on modelCache.existingClaim and name it /models/…" $what) -}}
{{- else if and (eq $place "claim") (not (include "smallfirst.isMounted" (dict "root" $ "path" (toString $one.source)))) -}}
{{- if not $claim -}}
{{- $faults = append $faults (printf "%s needs a claim mounted as /models: modelCache.existingClaim, modelCache.create or, with models in an image, modelCache.image" $what) -}}
{{- else if and (eq (toString $model.tier) "linear") (not $.Values.modelCache.mountInRouter) -}}
{{- $faults = append $faults (printf "%s runs in the router, which does not mount /models: set modelCache.mountInRouter" $what) -}}
{{- end -}}
{{- else if and (eq $place "hub") $.Values.airGapped (not $claim) -}}
{{- $faults = append $faults (printf "%s is on the hub, which airGapped forbids to ask: name the claim that holds it, modelCache.existingClaim" $what) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{/* Whether a pool's image and GPUs are fit for what the catalogue has it run: (dict "root" $ "name" "gpu"). */}}
{{- define "smallfirst.faults.fit" -}}
{{- $faults := list -}}
{{- $pool := include "smallfirst.pool" . | fromYaml -}}
{{- $served := $pool.pool | default .name -}}
{{- $declared := get (include "smallfirst.entries" (dict "root" .root "key" "pools") | fromJson) $served | default dict -}}
{{- $count := int $pool.gpu.count -}}
{{- if and (eq $pool.image "slm") $count -}}
{{- $faults = append $faults (printf "pools.%s: gpu.count %d, and the image slm runs on processors alone: set image: llm, or gpu.count: 0" .name $count) -}}
{{- end -}}
{{- if not $declared.remote -}}
{{- if and (eq (toString $declared.tier) "llm") (eq $pool.image "slm") -}}
{{- $faults = append $faults (printf "pools.%s serves %s, a pool of tier llm, with the image slm, which cannot run a large model: set image: llm" .name $served) -}}
{{- end -}}
{{- if and (eq (toString $declared.tier) "slm") (eq $pool.image "llm") -}}
{{- $faults = append $faults (printf "pools.%s serves %s, a pool of tier slm, with the image llm: set image: slm" .name $served) -}}
{{- end -}}
{{- if and (eq $pool.image "llm") (not $count) $pool.gpu.required -}}
{{- $faults = append $faults (printf "pools.%s: the image llm needs a GPU: set gpu.count, or gpu.required: false where the image is one for processors" .name) -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{/* Each entry that KEDA scales counts the whole backlog of its pool, so there may be one for each pool. */}}
{{- define "smallfirst.faults.scaledTwice" -}}
{{- $faults := list -}}
{{- $scaled := dict -}}
{{- range $name, $component := include "smallfirst.components" . | fromYaml -}}
{{- if and (hasPrefix "pool-" $name) (eq $component.config.autoscaling.type "keda") -}}
{{- $served := $component.settings.POOL -}}
{{- if hasKey $scaled $served -}}
{{- $faults = append $faults (printf "%s and %s both serve the pool %s under keda, and each would be scaled for its whole backlog: let keda scale one of them" (get $scaled $served) $name $served) -}}
{{- end -}}
{{- $_ := set $scaled $served $name -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}
