/**
 * What makes Secrets of the files that `secrets` writes, by `kubectl apply -k DIRECTORY` or as a resource of an overlay:
 * `causeway-<service>` for each service, and what the broker, the database and the operator have.
 */
export function secretKustomization(services: readonly string[], mongodbUsers: boolean): string {
  const secrets = [
    ...services.map((service) => files(service, [`${service}/nats.nk`, `${service}/mongodb-uri`])),
    files('keys', ['keys/personal-data-key', 'keys/auth-secret']),
    files('operator', ['operator/nats.nk']),
    environment('nats', 'nats/nkeys.env'),
    environment('nats-cluster', 'nats/cluster.env'),
    ...(mongodbUsers
      ? [
          files(
            'mongodb',
            ['root-password', ...services.map(passwordFile)].map((name) => `mongodb/${name}`),
          ),
        ]
      : []),
  ];
  return `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
generatorOptions:
  disableNameSuffixHash: true
  labels:
    app.kubernetes.io/part-of: causeway
secretGenerator:
${secrets.join('')}`;
}

function passwordFile(service: string): string {
  return `${service}-password`;
}

/** Keys are called as the files are. */
function files(name: string, paths: readonly string[]): string {
  return `  - name: causeway-${name}\n    files:\n${paths.map((path) => `      - ${path}\n`).join('')}`;
}

/** Keys are the names in it. */
function environment(name: string, path: string): string {
  return `  - name: causeway-${name}\n    envs: [${path}]\n`;
}
