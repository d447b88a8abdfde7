{{- define "fhe.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* A release that is called like the chart does not say so twice. */}}
{{- define "fhe.fullname" -}}
{{- $name := include "fhe.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "fhe.selector" -}}
app.kubernetes.io/name: {{ include "fhe.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "fhe.labels" -}}
{{- $own := fromYaml (include "fhe.selector" .) -}}
{{- $_ := set $own "app.kubernetes.io/version" (.Chart.AppVersion | trunc 63) -}}
{{- $_ := set $own "app.kubernetes.io/component" "exporter" -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "flink-health" -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- toYaml (merge $own .Values.commonLabels) -}}
{{- end -}}

{{- define "fhe.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "fhe.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "fhe.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Labels of the pod of `helm test`, which the NetworkPolicy lets in. */}}
{{- define "fhe.testLabels" -}}
app.kubernetes.io/name: {{ include "fhe.name" . | trunc 58 | trimSuffix "-" }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
