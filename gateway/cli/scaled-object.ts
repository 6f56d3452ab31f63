import { allPartitions } from '#kit/partitions.ts';
import { STREAMS_ACCOUNT } from '#kit/permissions/configuration.ts';
import type { ServiceDescription } from '#kit/service-descriptions.ts';
import { kustomization } from './new-service/deploy-entry.ts';

const SCALING = 'deploy/overlays/production/autoscaling';
/** Lists how each service is scaled. */
export const SCALING_LIST = `${SCALING}/kustomization.yaml`;
/** Messages that one replica may be behind, all its reactions together, before another comes. */
const LAG_PER_REPLICA = 200;
/** Of the tenth of a core that each asks for. */
const CPU_PERCENT = 400;
/** One by itself would be no zero-downtime; more than there are partitions would have nothing to do. */
const REPLICAS = { least: 2, most: allPartitions.length };

/** How services are scaled, by path in the repository: by how far behind their reactions are, and by what they compute. */
export function scalingFiles(
  descriptions: readonly Pick<ServiceDescription, 'service' | 'consumers'>[],
): Map<string, string> {
  return new Map([
    ...descriptions.map((each) => [scalingPath(each.service), scaledObject(each)] as const),
    [SCALING_LIST, kustomization(descriptions.map(({ service }) => service))] as const,
  ]);
}

/** Where the scaling of a service stands. */
export function scalingPath(service: string): string {
  return `${SCALING}/${service}.yaml`;
}

/** How a service is scaled by KEDA. */
export function scaledObject({ service, consumers }: Pick<ServiceDescription, 'service' | 'consumers'>): string {
  // A view has catches up by itself, in thousands a second, and its consumers are called otherwise with each build.
  const reactions = consumers.filter(({ kind }) => kind === 'reaction');
  const triggers = reactions.flatMap(({ name, sources }) =>
    allPartitions.map((partition) => ({
      name: `${name.replaceAll('-', '_')}_${partition}`,
      consumer: `${name}-${partition}`,
      stream: sources[0]?.stream ?? '',
    })),
  );
  return `apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: ${service}
  labels:
    app.kubernetes.io/name: ${service}
    app.kubernetes.io/component: service
    app.kubernetes.io/part-of: causeway
spec:
  scaleTargetRef:
    name: ${service}
  minReplicaCount: ${REPLICAS.least}
  maxReplicaCount: ${REPLICAS.most}
${triggers.length === 0 ? '' : byLag(triggers.map(({ name }) => name))}  triggers:
    - type: cpu
      metricType: Utilization
      metadata:
        value: "${CPU_PERCENT}"
${triggers.map(trigger).join('')}`;
}

/** Replicas share partitions, so what counts is how far behind all of them are together. */
function byLag(names: readonly string[]): string {
  return `  pollingInterval: 30
  # Where the broker does not say, nothing is taken away.
  fallback:
    failureThreshold: 3
    replicas: ${REPLICAS.least}
    behavior: currentReplicasIfHigher
  advanced:
    scalingModifiers:
      formula: >-
        ${names.join(' +\n        ')}
      target: "${LAG_PER_REPLICA}"
      metricType: AverageValue
`;
}

function trigger({ name, consumer, stream }: { name: string; consumer: string; stream: string }): string {
  return `    - type: nats-jetstream
      name: ${name}
      useCachedMetrics: true
      metadata:
        natsServerMonitoringEndpoint: nats-headless.causeway.svc:8222
        account: ${STREAMS_ACCOUNT}
        stream: ${stream}
        consumer: ${consumer}
        lagThreshold: "${LAG_PER_REPLICA}"
`;
}
