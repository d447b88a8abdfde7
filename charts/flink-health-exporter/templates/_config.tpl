{{/* The configuration as a file, or all that is wrong with it. What the schema cannot say helpfully is said here. */}}
{{- define "fhe.config" -}}
{{- $problems := list -}}
{{- $existing := .Values.existingConfig -}}
{{- if gt (len (compact (list (empty .Values.config | ternary "" "config") $existing.configMap $existing.secret))) 1 -}}
{{- $problems = append $problems "config, existingConfig.configMap, existingConfig.secret: only one of them may be given" -}}
{{- else if not (or .Values.config.clusters $existing.configMap $existing.secret) -}}
{{- $problems = append $problems "config.clusters: where is Flink? For example: --set config.clusters[0].url=http://jobmanager:8081" -}}
{{- end -}}
{{- range $i, $cluster := .Values.config.clusters -}}
{{- $here := printf "config.clusters[%d]" $i -}}
{{- $instead := "a ConfigMap is no place for a secret: list a Secret in secrets, and name its file in" -}}
{{- if not $cluster.url -}}
{{- $problems = append $problems (printf "%s.url: where is this cluster? For example: http://jobmanager:8081" $here) -}}
{{- end -}}
{{- if dig "basic_auth" "password" "" $cluster -}}
{{- $problems = append $problems (printf "%s.basic_auth.password: %s password_file, /run/secrets/NAME/KEY" $here $instead) -}}
{{- end -}}
{{- if $cluster.bearer_token -}}
{{- $problems = append $problems (printf "%s.bearer_token: %s bearer_token_file, /run/secrets/NAME/KEY" $here $instead) -}}
{{- end -}}
{{- range $name, $_ := $cluster.headers -}}
{{- if regexMatch "(?i)auth|cookie|credential|key|pass|secret|session|signature|token" $name -}}
{{- $problems = append $problems (printf "%s.headers.%s: a ConfigMap is no place for a secret: put the whole configuration into a Secret, and name it in existingConfig.secret" $here $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if dig "web" "listen_address" "" .Values.config -}}
{{- $problems = append $problems "config.web.listen_address: the exporter listens on port 9449 of its pod; service.port is the one that others see" -}}
{{- end -}}
{{- if $problems -}}
{{- fail (join "\n" $problems) -}}
{{- end -}}
{{- if .Values.config -}}
{{- toYaml .Values.config -}}
{{- end -}}
{{- end -}}
