{{/*
What the schema cannot say: values that contradict each other, namespaces that will not do, and a
second release. Each message names the keys, and what to do.
*/}}
{{- define "nodeproof.refusals" -}}
{{- include "nodeproof.refuseNamespaces" . -}}
{{- include "nodeproof.refuseProviders" . -}}
{{- include "nodeproof.refuseCertificates" . -}}
{{- include "nodeproof.refuseSecondRelease" . -}}
{{- end }}

{{- define "nodeproof.refuseNamespaces" -}}
{{- $ours := .Release.Namespace -}}
{{- if eq $ours .Values.agent.namespace.name -}}
{{- fail (printf "agent.namespace.name is %q, which is the release's namespace: agents need one of their own, since Pod Security has to let them see the host" $ours) -}}
{{- end -}}
{{- /* `helm lint` renders neither an install nor an upgrade, in the namespace "default". */ -}}
{{- if and (or .Release.IsInstall .Release.IsUpgrade) (has $ours (list "default" "kube-system" "kube-public" "kube-node-lease")) -}}
{{- fail (printf "the namespace %q is not for nodeproof: whoever may create pods beside the operator is trusted like it. Add: --namespace nodeproof-system --create-namespace" $ours) -}}
{{- end -}}
{{- end }}

{{- define "nodeproof.refuseProviders" -}}
{{- $agent := .Values.agent -}}
{{- $device := or $agent.devicePlugin.resource $agent.privileged -}}
{{- if and $agent.devicePlugin.resource $agent.privileged -}}
{{- fail "agent.devicePlugin.resource and agent.privileged are two ways to the same device: set one of them" -}}
{{- end -}}
{{- if and $device (has $agent.provider (list "configfs-tsm" "simulated")) -}}
{{- fail (printf "agent.provider is %q, which uses no device: unset agent.devicePlugin.resource and agent.privileged, or set agent.provider to sev-guest" $agent.provider) -}}
{{- end -}}
{{- if and (eq $agent.provider "sev-guest") (not $device) -}}
{{- fail "agent.provider is \"sev-guest\", but the agent gets no device: set agent.devicePlugin.resource or, where there is no device plugin, agent.privileged" -}}
{{- end -}}
{{- if ne (eq $agent.provider "simulated") (ne $agent.simulated.hostPath "") -}}
{{- fail (printf "agent.provider is %q and agent.simulated.hostPath is %q: simulated evidence proves nothing, so it takes both to choose it" $agent.provider $agent.simulated.hostPath) -}}
{{- end -}}
{{- if and (eq $agent.provider "simulated") (not .Values.operator.allowSimulated.ark) -}}
{{- fail "agent.provider is \"simulated\", but operator.allowSimulated.ark is empty: no evidence would ever count" -}}
{{- end -}}
{{- end }}

{{- define "nodeproof.refuseCertificates" -}}
{{- if and .Values.certManager.enabled (not .Values.certManager.issuerRef.name) -}}
{{- fail "certManager.enabled needs certManager.issuerRef.name" -}}
{{- end -}}
{{- if and (not .Values.certManager.enabled) .Values.certManager.issuerRef.name -}}
{{- fail "certManager.issuerRef.name is set, but certManager.enabled is false" -}}
{{- end -}}
{{- if and (eq .Values.operator.kds.url "off") (or .Values.operator.kds.caConfigMap .Values.operator.kds.proxySecret) -}}
{{- fail "operator.kds.url is \"off\": unset operator.kds.caConfigMap and operator.kds.proxySecret" -}}
{{- end -}}
{{- end }}

{{/*
Names are fixed, and two operators would undo each other's labels: one release a cluster. Objects that
belong to no release are left to Helm's own refusal, which --take-ownership overrides.
*/}}
{{- define "nodeproof.refuseSecondRelease" -}}
{{- range $kind := list "ClusterRole" "ClusterRoleBinding" -}}
{{- $found := lookup "rbac.authorization.k8s.io/v1" $kind "" "nodeproof-operator" -}}
{{- $of := dig "metadata" "annotations" dict $found -}}
{{- $name := index $of "meta.helm.sh/release-name" -}}
{{- $namespace := index $of "meta.helm.sh/release-namespace" -}}
{{- if and $name (or (ne $name $.Release.Name) (ne $namespace $.Release.Namespace)) -}}
{{- fail (printf "nodeproof is installed in this cluster already, as release %q in namespace %q, and two would undo each other's work. Upgrade that one: helm upgrade %s --namespace %s; or uninstall it first" $name $namespace $name $namespace) -}}
{{- end -}}
{{- end -}}
{{- end }}
