{{/*
Rules of one component's NetworkPolicy: (dict "root" $ "name" "router" "component" … "clients" … "hasKeda" …).
A rule without peers would let everybody in, so an empty list of peers makes no rule.
*/}}

{{- define "smallfirst.ingress" -}}
{{- $root := .root }}
{{- if eq .name "redis" }}
- from:
    {{- toYaml .clients | nindent 4 }}
    {{- with $root.Values.networkPolicy.producers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- if .hasKeda }}
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: {{ $root.Values.keda.namespace }}}
    {{- end }}
  ports: [{port: 6379, protocol: TCP}]
{{- end }}
{{- with .component.ingress }}
{{ toYaml . }}
{{- end }}
{{- if and .component.hasMetrics $root.Values.metrics.enabled $root.Values.networkPolicy.monitoring }}
- from:
    {{- toYaml $root.Values.networkPolicy.monitoring | nindent 4 }}
  ports: [{port: {{ int $root.Values.metrics.port }}, protocol: TCP}]
{{- end }}
{{- end }}

{{- define "smallfirst.egress" -}}
{{- $root := .root }}
{{- $component := .component }}
{{- $isOutgoing := or $component.role (eq $component.kind "Job") }}
{{- if $isOutgoing }}
{{- include "smallfirst.dnsRules" $root }}
{{- end }}
{{- if $component.role }}
{{- if $root.Values.redis.external.enabled }}
{{- with $root.Values.redis.external.peers }}
- to:
    {{- toYaml . | nindent 4 }}
  ports:
    {{- include "smallfirst.externalPorts" $root | nindent 4 }}
{{- end }}
{{- if and (include "smallfirst.hasBroker" $root) (not (has $component.role (list "producer" "desk" "audit-log"))) }}
{{- with $root.Values.redis.external.broker.peers }}
- to:
    {{- toYaml . | nindent 4 }}
  ports: [{port: {{ int $root.Values.redis.external.broker.port }}, protocol: TCP}]
{{- end }}
{{- end }}
{{- else }}
- to:
    - podSelector:
        matchLabels:
          {{- include "smallfirst.selector" (dict "root" $root "name" "redis") | nindent 10 }}
  ports: [{port: 6379, protocol: TCP}]
{{- end }}
{{- end }}
{{- if and $component.hasTraces $root.Values.tracing.enabled $root.Values.tracing.peers }}
- to:
    {{- toYaml $root.Values.tracing.peers | nindent 4 }}
  ports: [{port: {{ include "smallfirst.tracingPort" $root }}, protocol: TCP}]
{{- end }}
{{- with $component.egress }}
{{ toYaml . }}
{{- end }}
{{- if $isOutgoing }}
{{- with $component.config.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where names are resolved. Ports are those of the pods: a policy looks at packages whose address a Service has changed. */}}
{{- define "smallfirst.dnsRules" -}}
{{- with .Values.networkPolicy.dns }}
{{- if .peers }}
- to:
    {{- toYaml .peers | nindent 4 }}
  ports:
    {{- range .ports }}
    - {port: {{ int . }}, protocol: UDP}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
{{- end }}
{{- end }}
{{- if .Values.openshift }}
- to:
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: openshift-dns}
  ports: [{port: 5353, protocol: UDP}, {port: 5353, protocol: TCP}]
{{- end }}
{{- end }}
