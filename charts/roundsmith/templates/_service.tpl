{{/*
A Deployment of one gRPC service and its headless Service, over which clients balance by themselves.
Takes (dict "root" $ "component" NAME "image" IMAGE "pullPolicy" POLICY "arguments" YAML "resources" MAP), and
"environment", "mounts", "volumes" (YAML), "admin" (true: a second port, 8034), "account" (true: a
service account of its own, with its token) where it needs them.
*/}}
{{- define "roundsmith.service" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "roundsmith.name" . }}
  labels: {{- include "roundsmith.labels" . | nindent 4 }}
spec:
  replicas: 1
  selector:
    matchLabels: {{- include "roundsmith.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "roundsmith.labels" . | nindent 8 }}
      {{- if or .environment .root.Values.metrics.enabled }}
      annotations:
        {{- if .environment }}
        checksum/storage: {{ toYaml .root.Values.storage | sha256sum }}
        {{- end }}
        {{- include "roundsmith.metricsAnnotations" .root | nindent 8 }}
      {{- end }}
    spec:
      {{- if .account }}
      serviceAccountName: {{ include "roundsmith.name" . }}
      {{- end }}
      automountServiceAccountToken: {{ .account | default false }}
      enableServiceLinks: false
      terminationGracePeriodSeconds: 30
      securityContext: {{- include "roundsmith.podSecurity" . | nindent 8 }}
      {{- include "roundsmith.pullSecrets" .root | nindent 6 }}
      containers:
        - name: {{ .component }}
          image: {{ .image }}
          imagePullPolicy: {{ .pullPolicy }}
          args: {{- .arguments | nindent 12 }}
            {{- include "roundsmith.metricsArguments" .root | nindent 12 }}
          {{- with .environment }}
          env: {{- . | nindent 12 }}
          {{- end }}
          ports:
            - { name: grpc, containerPort: 8033 }
            {{- if .admin }}
            - { name: grpc-admin, containerPort: 8034 }
            {{- end }}
          {{- include "roundsmith.probes" 8033 | nindent 10 }}
          resources: {{- toYaml .resources | nindent 12 }}
          securityContext: {{- include "roundsmith.containerSecurity" . | nindent 12 }}
          volumeMounts: {{- .mounts | default "- { name: tmp, mountPath: /tmp }" | nindent 12 }}
      volumes: {{- .volumes | default "- { name: tmp, emptyDir: { sizeLimit: 256Mi } }" | nindent 8 }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "roundsmith.name" . }}
  labels: {{- include "roundsmith.labels" . | nindent 4 }}
spec:
  clusterIP: None
  selector: {{- include "roundsmith.selector" . | nindent 4 }}
  ports:
    - { name: grpc, port: 8033, targetPort: grpc, appProtocol: kubernetes.io/h2c }
    {{- if .admin }}
    - { name: grpc-admin, port: 8034, targetPort: grpc-admin, appProtocol: kubernetes.io/h2c }
    {{- end }}
{{- end -}}
