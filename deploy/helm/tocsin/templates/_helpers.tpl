{{- define "tocsin.name" -}}
{{- if contains "tocsin" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-tocsin" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "tocsin.selector" -}}
app.kubernetes.io/name: tocsin
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tocsin.labels" -}}
{{ include "tocsin.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "tocsin.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "tocsin.annotations" -}}
checksum/config: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
{{- with .Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What every pod says first. */}}
{{- define "tocsin.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What every container says. */}}
{{- define "tocsin.container" -}}
image: {{ include "tocsin.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- with .Values.env }}
env: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "tocsin.mounts" -}}
- {name: config, mountPath: /etc/tocsin, readOnly: true}
- {name: data, mountPath: /var/lib/tocsin}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{/* Makes the account "admin" where there is none yet. */}}
{{- define "tocsin.firstAccount" -}}
- name: first-account
  {{- include "tocsin.container" . | nindent 2 }}
  command: [first-account, /etc/tocsin, /var/lib/tocsin, /run/first-account/password]
  resources: {{ toYaml .Values.resources | nindent 4 }}
  volumeMounts:
    {{- include "tocsin.mounts" . | nindent 4 }}
    - {name: first-account, mountPath: /run/first-account, readOnly: true}
{{- end }}

{{- define "tocsin.webProbes" -}}
startupProbe:
  httpGet: {path: /-/healthy, port: http}
  periodSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /-/healthy, port: http}
  periodSeconds: 15
  timeoutSeconds: 5
  failureThreshold: 4
readinessProbe:
  httpGet: {path: /-/ready, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{- define "tocsin.volumes" -}}
- name: config
  projected:
    sources:
      - configMap:
          name: {{ .Values.existingConfigMap | default (include "tocsin.name" .) }}
      {{- range .Values.secrets }}
      - secret:
          name: {{ .name }}
          items:
            {{- range .keys }}
            - {key: {{ . | quote }}, path: {{ printf "secrets/%s" . | quote }}}
            {{- end }}
      {{- end }}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 64Mi}
{{- end }}

{{- define "tocsin.firstAccountVolume" -}}
- name: first-account
  secret:
    secretName: {{ .Values.firstAccount.secretName }}
    items: [{key: {{ .Values.firstAccount.key | quote }}, path: password}]
{{- end }}
