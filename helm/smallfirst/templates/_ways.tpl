{{/* Ways from outside to a component with pages: (dict "root" $ "name" "flower" "own" .Values.flower). */}}

{{- define "smallfirst.ways" -}}
{{- $name := include "smallfirst.name" . -}}
{{- $own := .own }}
{{- if $own.ingress.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "smallfirst.metadata" . | nindent 2 }}
  {{- with $own.ingress.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with $own.ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with $own.ingress.tlsSecret }}
  tls:
    - {hosts: [{{ $own.ingress.host | quote }}], secretName: {{ . }}}
  {{- end }}
  rules:
    - host: {{ $own.ingress.host | quote }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend: {service: {name: {{ $name }}, port: {name: http}}}
{{- end }}
{{- if $own.httpRoute.enabled }}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  {{- include "smallfirst.metadata" . | nindent 2 }}
spec:
  parentRefs:
    {{- toYaml $own.httpRoute.parentRefs | nindent 4 }}
  {{- with $own.httpRoute.hostnames }}
  hostnames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    - backendRefs:
        - {name: {{ $name }}, port: {{ int $own.service.port }}}
{{- end }}
{{- end }}
