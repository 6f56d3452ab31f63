/** The ports of a service that runs by itself (kit/service-process.ts). */
const PORTS = { grpc: 9091, http: 9464 };

/** Where a service's entry stands. */
export function deployPath(service: string): string {
  return `deploy/base/services/${service}.yaml`;
}

/** How a service runs on Kubernetes: the same for each. What it is told comes from the environment's own overlay. */
export function deployEntry(service: string): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${service}
  labels:
    app.kubernetes.io/name: ${service}
    app.kubernetes.io/part-of: causeway
spec:
  replicas: 1
  selector:
    matchLabels:
      app.kubernetes.io/name: ${service}
      app.kubernetes.io/part-of: causeway
  template:
    metadata:
      labels:
        app.kubernetes.io/name: ${service}
        app.kubernetes.io/part-of: causeway
    spec:
      automountServiceAccountToken: false
      # Kubernetes would add settings of its own, named after each service.
      enableServiceLinks: false
      # A service drains for up to 9 s; before that, whoever calls it has to learn that it goes.
      terminationGracePeriodSeconds: 30
      securityContext:
        runAsNonRoot: true
        runAsUser: 1000
        runAsGroup: 1000
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: service
          image: causeway
          command: [node, services/${service}/main.ts]
          env:
            - name: SERVICE_HOST
              value: 0.0.0.0
          envFrom:
            - configMapRef:
                name: causeway
            - secretRef:
                name: causeway
          ports:
            - name: grpc
              containerPort: ${PORTS.grpc}
            - name: http
              containerPort: ${PORTS.http}
          startupProbe:
            httpGet:
              path: /healthz
              port: http
            periodSeconds: 1
            failureThreshold: 60
          livenessProbe:
            httpGet:
              path: /healthz
              port: http
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet:
              path: /readyz
              port: http
            periodSeconds: 5
            timeoutSeconds: 5
          lifecycle:
            preStop:
              sleep:
                seconds: 5
          resources:
            requests:
              cpu: 100m
              memory: 192Mi
            limits:
              memory: 512Mi
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
---
apiVersion: v1
kind: Service
metadata:
  name: ${service}
  labels:
    app.kubernetes.io/name: ${service}
    app.kubernetes.io/part-of: causeway
spec:
  selector:
    app.kubernetes.io/name: ${service}
    app.kubernetes.io/part-of: causeway
  ports:
    - name: grpc
      port: ${PORTS.grpc}
      targetPort: grpc
      appProtocol: kubernetes.io/h2c
`;
}

/** The list of all of them, by name. */
export function kustomization(services: readonly string[]): string {
  const entries = services.toSorted().map((service) => `  - services/${service}.yaml\n`);
  return `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
${entries.join('')}`;
}
