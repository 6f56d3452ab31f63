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
    app.kubernetes.io/component: service
    app.kubernetes.io/part-of: causeway
spec:
  # How many there are is decided by whoever scales it: one, as long as nobody does.
  revisionHistoryLimit: 3
  strategy:
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  selector:
    matchLabels:
      app.kubernetes.io/name: ${service}
      app.kubernetes.io/part-of: causeway
  template:
    metadata:
      labels:
        app.kubernetes.io/name: ${service}
        app.kubernetes.io/component: service
        app.kubernetes.io/part-of: causeway
    spec:
      serviceAccountName: ${service}
      automountServiceAccountToken: false
      # Kubernetes would add settings of its own, named after each service.
      enableServiceLinks: false
      # A service drains for up to 9 s; before that, whoever calls it has to learn that it goes.
      terminationGracePeriodSeconds: 30
      securityContext:
        runAsNonRoot: true
        runAsUser: 1000
        runAsGroup: 1000
        fsGroup: 1000
        seccompProfile:
          type: RuntimeDefault
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              app.kubernetes.io/name: ${service}
              app.kubernetes.io/part-of: causeway
        - maxSkew: 1
          topologyKey: topology.kubernetes.io/zone
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              app.kubernetes.io/name: ${service}
              app.kubernetes.io/part-of: causeway
      containers:
        - name: service
          image: causeway
          command: [node, services/${service}/main.ts]
          envFrom:
            - configMapRef:
                name: causeway
            - configMapRef:
                name: causeway-services
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
            failureThreshold: 300
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
          volumeMounts:
            - name: secrets
              mountPath: /var/run/causeway/secrets
              readOnly: true
      volumes:
        - name: secrets
          projected:
            defaultMode: 0440
            sources:
              - secret:
                  name: causeway-${service}
              - secret:
                  name: causeway-keys
                  items:
                    - key: personal-data-key
                      path: personal-data-key
              # Where tokens are checked with public keys, there is none.
              - secret:
                  name: causeway-keys
                  optional: true
                  items:
                    - key: auth-secret
                      path: auth-secret
---
apiVersion: v1
kind: Service
metadata:
  name: ${service}
  labels:
    app.kubernetes.io/name: ${service}
    app.kubernetes.io/component: service
    app.kubernetes.io/part-of: causeway
spec:
  # Its callers know each of its pods, and share their calls out themselves.
  clusterIP: None
  selector:
    app.kubernetes.io/name: ${service}
    app.kubernetes.io/part-of: causeway
  ports:
    - name: grpc
      port: ${PORTS.grpc}
      targetPort: grpc
      appProtocol: kubernetes.io/h2c
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: ${service}
  labels:
    app.kubernetes.io/name: ${service}
    app.kubernetes.io/component: service
    app.kubernetes.io/part-of: causeway
spec:
  maxUnavailable: 1
  # One that can't do its work does no harm by going.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      app.kubernetes.io/name: ${service}
      app.kubernetes.io/part-of: causeway
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: ${service}
  labels:
    app.kubernetes.io/name: ${service}
    app.kubernetes.io/component: service
    app.kubernetes.io/part-of: causeway
automountServiceAccountToken: false
`;
}

/** The list of all of them, by name. */
export function kustomization(services: readonly string[]): string {
  const entries = services.toSorted().map((service) => `  - ${service}.yaml\n`);
  return `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
${entries.join('')}`;
}

/** Where the gateway finds each of them: a file of settings. */
export function addresses(services: readonly string[]): string {
  return services
    .toSorted()
    .map((service) => `${service.toUpperCase().replaceAll('-', '_')}_URL=http://${service}:${PORTS.grpc}\n`)
    .join('');
}
