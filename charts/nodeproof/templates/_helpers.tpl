{{/* Labels of an object: (list $ "NAME"), NAME being the component's. */}}
{{- define "nodeproof.labels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: nodeproof
{{- end }}

{{/* Labels of a pod: without what changes with each version. */}}
{{- define "nodeproof.podLabels" -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/part-of: nodeproof
{{- end }}

{{/* An image's reference: (list $ IMAGE). */}}
{{- define "nodeproof.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- with $root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default $root.Chart.AppVersion }}{{ end -}}
{{- end }}

{{- define "nodeproof.pullSecrets" -}}
{{- range .Values.image.pullSecrets }}
- name: {{ . }}
{{- end }}
{{- end }}

{{/* What Pod Security "restricted" asks of a pod, and a little more. */}}
{{- define "nodeproof.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "nodeproof.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Where the operator's image runs, in the Deployment as in the hooks. */}}
{{- define "nodeproof.operatorPlacement" -}}
nodeSelector:
  kubernetes.io/os: linux
  {{- with .Values.operator.nodeSelector }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
# The verifier cannot wait for nodes that wait for the verifier. A node that hosts it is
# inside the trust boundary: control-plane nodes are preferred.
tolerations:
  - key: nodeproof.dev/unattested
    operator: Exists
  - key: node-role.kubernetes.io/control-plane
    operator: Exists
    effect: NoSchedule
  {{- with .Values.operator.tolerations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
affinity:
  {{- with .Values.operator.affinity }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  nodeAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        preference:
          matchExpressions:
            - key: node-role.kubernetes.io/control-plane
              operator: Exists
  {{- end }}
{{- end }}

{{/* "configfs", "simulated" or, where the agent gets a device, nothing: the hostPath it needs. */}}
{{- define "nodeproof.agentHostPath" -}}
{{- if eq .Values.agent.provider "simulated" -}}
simulated
{{- else if not (or .Values.agent.devicePlugin.resource .Values.agent.privileged) -}}
configfs
{{- end -}}
{{- end }}

{{/* The user name of one of our ServiceAccounts, as the API server sees it: (list $ "NAME"). */}}
{{- define "nodeproof.user" -}}
system:serviceaccount:{{ (index . 0).Release.Namespace }}:{{ index . 1 }}
{{- end }}

{{/* Ports of a NetworkPolicy, each by these protocols: (list PORTS "TCP" …). */}}
{{- define "nodeproof.ports" -}}
{{- $protocols := rest . -}}
{{- range $port := first . }}
{{- range $protocols }}
- port: {{ int $port }}
  protocol: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Who may scrape metrics, in a rule of a NetworkPolicy; nothing where everybody may. */}}
{{- define "nodeproof.scrapers" -}}
{{- with .Values.networkPolicies.metricsNamespaces -}}
from:
  - namespaceSelector:
      matchExpressions:
        - key: kubernetes.io/metadata.name
          operator: In
          values:
            {{- toYaml . | nindent 12 }}
{{- end -}}
{{- end }}

{{/* A pod that runs one command of the operator's image once: (list $ "ACCOUNT"). */}}
{{- define "nodeproof.commandPod" -}}
{{- $root := index . 0 -}}
restartPolicy: Never
serviceAccountName: {{ index . 1 }}
automountServiceAccountToken: true
enableServiceLinks: false
{{- with $root.Values.operator.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with include "nodeproof.pullSecrets" $root }}
imagePullSecrets:
  {{- . | nindent 2 }}
{{- end }}
{{ include "nodeproof.operatorPlacement" $root }}
securityContext:
  {{- include "nodeproof.podSecurity" $root | nindent 2 }}
volumes:
  # For whatever a library wants to put in a file: the root file system is read-only.
  - name: scratch
    emptyDir:
      medium: Memory
      sizeLimit: 16Mi
{{- end }}

{{/* The rest of its container. */}}
{{- define "nodeproof.commandContainer" -}}
image: {{ include "nodeproof.image" (list . .Values.operator.image) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
resources:
  requests:
    cpu: 50m
    memory: 128Mi
  limits:
    memory: 512Mi
securityContext:
  {{- include "nodeproof.containerSecurity" . | nindent 2 }}
volumeMounts:
  - name: scratch
    mountPath: /tmp
{{- end }}
