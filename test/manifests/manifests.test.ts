import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { deployEntry } from '../../gateway/cli/new-service/deploy-entry.ts';
import { scaledObject } from '../../gateway/cli/scaled-object.ts';
import { type Definitions, schemaProblems } from './kubernetes-schema.ts';
import { findManifest, type Manifest, manifestsIn } from './manifest.ts';
import { type Expected, type Policy, policies, policiesOfProduction } from './policies.ts';

const read = (path: string) => readFileSync(new URL(`../../deploy/${path}`, import.meta.url), 'utf8');

const expected: Expected = {
  services: ['orders'],
  settings: new Set(['LOG_LEVEL', 'ORDERS_URL']),
  secrets: new Map([
    ['causeway-orders', new Set(['nats.nk', 'mongodb-uri'])],
    ['causeway-keys', new Set(['personal-data-key', 'auth-secret'])],
    ['causeway-nats', new Set(['ORDERS_NKEY'])],
    ['causeway-mongodb', new Set(['root-password'])],
  ]),
};

/** A platform of one service, as the base has it, scaled as production does. */
function platform(): Manifest[] {
  const files = ['base/gateway.yaml', 'nats/nats.yaml', 'mongodb/mongodb.yaml'].map(read);
  const scaling = scaledObject({ service: 'orders', consumers: [] });
  const manifests = [...files, deployEntry('orders'), scaling, read('overlays/production/gateway-autoscaler.yaml')]
    .join('\n---\n')
    .replaceAll(/image: (\w+)$/gm, 'image: $1:1.0.0');
  return [
    ...manifestsIn(manifests),
    ...manifestsIn(read('base/network-policies.yaml')).slice(0, 2),
    ...configuration(),
  ];
}

function configuration(): Manifest[] {
  const named = {
    causeway: { LOG_LEVEL: 'info' },
    'causeway-services': {},
    'causeway-gateway': {},
    nats: {},
    'mongodb-users': {},
  };
  return Object.entries(named).map(([name, data]) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, labels: { 'app.kubernetes.io/part-of': 'causeway' } },
    data,
  }));
}

function changed(kind: string, name: string, change: (manifest: Manifest) => void): Manifest[] {
  const manifests = platform();
  const found = findManifest(manifests, kind, name);
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
  change(found);
  return manifests;
}

const orders = (change: (pod: Manifest['spec'], container: Manifest['spec']) => void) =>
  changed('Deployment', 'orders', ({ spec }) => change(spec.template.spec, spec.template.spec.containers[0]));
const without = (kind: string, name: string) =>
  platform().filter((each) => each.kind !== kind || each.metadata.name !== name);

/** For each policy what breaks it, and what it says then. */
const broken: Record<string, [Manifest[], string][]> = {
  'every service runs': [
    [without('Deployment', 'orders'), 'there is no Deployment that runs orders'],
    [orders((_, container) => container.command.pop()), 'there is no Deployment that runs orders'],
  ],
  'pods are restricted': [
    [orders((pod) => delete pod.securityContext.runAsNonRoot), 'Deployment orders: may run as root'],
    [
      orders((pod) => delete pod.securityContext.seccompProfile),
      'Deployment orders: may call everything of the kernel',
    ],
    [orders((pod) => Object.assign(pod, { hostNetwork: true })), 'Deployment orders: has hostNetwork'],
    [
      orders((pod) => pod.volumes.push({ name: 'host', hostPath: { path: '/' } })),
      'Deployment orders: the volume host is of a kind that is not allowed',
    ],
    [
      orders((_, { securityContext }) => delete securityContext.allowPrivilegeEscalation),
      'Deployment orders: may get more rights',
    ],
    [
      orders((_, { securityContext }) => delete securityContext.readOnlyRootFilesystem),
      'Deployment orders: may write to its image',
    ],
    [orders((_, { securityContext }) => delete securityContext.capabilities), 'Deployment orders: keeps capabilities'],
    [
      orders((_, { ports }) => Object.assign(ports[0], { hostPort: 1 })),
      'Deployment orders: takes a port of its machine',
    ],
  ],
  'no pod has a token, but where it is given rights': [
    [
      orders((pod) => delete pod.automountServiceAccountToken),
      'Deployment orders: automountServiceAccountToken is not false',
    ],
    [without('ServiceAccount', 'orders'), 'Deployment orders: has no service account of its own'],
  ],
  'what runs is watched, and has limits': [
    [orders((_, container) => delete container.livenessProbe), 'Deployment orders: has not all probes'],
    [
      orders((_, { readinessProbe }) => Object.assign(readinessProbe.httpGet, { port: 'health' })),
      'Deployment orders: is probed at the port health, which it has not',
    ],
    [
      orders((_, { resources }) => delete resources.limits),
      'Deployment orders: says not what it needs, or at most takes',
    ],
  ],
  'what runs may be moved, one at a time': [
    [without('PodDisruptionBudget', 'orders'), 'Deployment orders: has no PodDisruptionBudget'],
  ],
  'an update takes no program away before the next is there': [
    [
      changed('Deployment', 'orders', ({ spec }) => delete spec.strategy),
      'Deployment orders: an update may leave it without a replica',
    ],
  ],
  'nothing is let in or out that is not said': [
    [without('NetworkPolicy', 'deny-all'), 'no NetworkPolicy denies everything to all pods'],
    [
      changed('NetworkPolicy', 'deny-all', ({ spec }) => spec.policyTypes.pop()),
      'no NetworkPolicy denies everything to all pods',
    ],
  ],
  'network policies, services and budgets name what is there': [
    [
      changed('Service', 'orders', ({ spec }) => Object.assign(spec.ports[0], { targetPort: 'rpc' })),
      'Service orders: no pod has a port rpc',
    ],
    [
      changed('NetworkPolicy', 'mongodb', ({ spec }) => Object.assign(spec.ingress[0].ports[0], { port: 'mongo' })),
      'NetworkPolicy mongodb: no pod has a port mongo',
    ],
    [
      changed('NetworkPolicy', 'mongodb', ({ spec }) =>
        Object.assign(spec.podSelector, { matchExpressions: [{ key: 'no', operator: 'Exists' }] }),
      ),
      'NetworkPolicy mongodb selects no pods',
    ],
    [
      changed('PodDisruptionBudget', 'nats', ({ spec }) => Object.assign(spec.selector.matchLabels, { other: 'x' })),
      'PodDisruptionBudget nats selects no pods',
    ],
  ],
  'images are pinned': [
    [
      orders((_, container) => Object.assign(container, { image: 'causeway' })),
      'Deployment orders: the image causeway has no version',
    ],
    [
      orders((_, container) => Object.assign(container, { image: 'causeway:latest' })),
      'Deployment orders: the image causeway:latest has no version',
    ],
  ],
  'programs are told what they know': [
    [
      orders((_, container) => Object.assign(container, { env: [{ name: 'LOG_LEVLE', value: 'info' }] })),
      'Deployment orders: there is no setting LOG_LEVLE',
    ],
    [
      changed('ConfigMap', 'causeway-services', ({ data }) => Object.assign(data, { NATS_UR: 'x' })),
      'Deployment orders: there is no setting NATS_UR',
    ],
  ],
  'configuration and secrets that are named are there': [
    [without('ConfigMap', 'causeway-services'), 'Deployment orders: there is no causeway-services'],
    [
      orders(({ volumes }) => Object.assign(volumes[0].projected.sources[1].secret.items[0], { key: 'master-key' })),
      'Deployment orders: there is no causeway-keys/master-key',
    ],
    [
      changed('StatefulSet', 'nats', ({ spec }) =>
        spec.template.spec.containers[0].envFrom.push({ secretRef: { name: 'causeway-nats-cluster' } }),
      ),
      'StatefulSet nats: there is no causeway-nats-cluster',
    ],
  ],
  'everything can be applied': [
    [
      changed('ConfigMap', 'nats', ({ data }) => Object.assign(data, { 'permissions.conf': 'x'.repeat(256 * 1024) })),
      'ConfigMap nats is too large: kubectl keeps what it applied in an annotation',
    ],
  ],
  'everything says that it is part of this': [
    [
      changed('Service', 'orders', ({ metadata }) => delete metadata.labels),
      'Service orders has no app.kubernetes.io/part-of',
    ],
  ],
  'there are at least two of each program, and no more than there are partitions': [
    [without('ScaledObject', 'orders'), 'orders is not scaled'],
    [
      changed('ScaledObject', 'orders', ({ spec }) => Object.assign(spec, { maxReplicaCount: 9 })),
      'orders has 2 to 9 replicas',
    ],
    [
      changed('HorizontalPodAutoscaler', 'gateway', ({ spec }) => Object.assign(spec, { minReplicas: 1 })),
      'gateway has 1 to 10 replicas',
    ],
  ],
  'who scales decides how many there are': [
    [changed('Deployment', 'orders', ({ spec }) => Object.assign(spec, { replicas: 2 })), 'Deployment orders'],
  ],
  'the secrets of production are nowhere here': [
    [
      [...platform(), { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'causeway-keys' } }],
      'Secret causeway-keys',
    ],
  ],
  'the broker survives the loss of a machine': [
    [changed('StatefulSet', 'nats', ({ spec }) => Object.assign(spec, { replicas: 2 })), 'there are 2 brokers'],
  ],
};

describe('a policy', () => {
  const all: Record<string, Policy> = { ...policies, ...policiesOfProduction };
  const production = changed('StatefulSet', 'nats', ({ spec }) => Object.assign(spec, { replicas: 3 }));

  test('is broken by something, each of them', () => {
    expect(Object.keys(broken).toSorted()).toEqual(Object.keys(all).toSorted());
  });

  test.each(Object.entries(all))('says nothing of what is as it should be: %s', (_, policy) => {
    expect(policy(production, expected)).toEqual([]);
  });

  test.each(
    Object.entries(broken).flatMap(([name, cases]) =>
      cases.map(([manifests, said]) => [name, said, manifests] as const),
    ),
  )('says what is wrong: %s: %s', (name, said, manifests) => {
    expect(all[name]?.(manifests, expected)).toContain(said);
  });
});

describe('the schema', () => {
  const definitions: Definitions = {
    Thing: {
      type: 'object',
      'x-kubernetes-group-version-kind': [{ group: 'apps', version: 'v1', kind: 'Thing' }],
      required: ['kind'],
      properties: {
        apiVersion: { type: 'string' },
        kind: { type: 'string' },
        metadata: { type: 'object', additionalProperties: { type: 'string' } },
        port: { $ref: '#/definitions/io.k8s.apimachinery.pkg.util.intstr.IntOrString' },
        memory: { $ref: '#/definitions/io.k8s.apimachinery.pkg.api.resource.Quantity' },
        steps: {
          type: 'array',
          items: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } },
        },
        policy: { type: 'string', enum: ['Always', 'Never'] },
      },
    },
  };
  const thing = { apiVersion: 'apps/v1', kind: 'Thing', metadata: { name: 'one' } };

  test.each([
    [{}, []],
    [{ port: 8080, memory: '96Mi', steps: [{ name: 'first' }], policy: 'Never' }, []],
    [{ port: 'http', memory: '0.5' }, []],
    [{ prot: 8080 }, ['.prot is unknown']],
    [{ port: true, memory: '96 MB' }, ['.port is no IntOrString', '.memory is no Quantity']],
    [{ steps: [{}, { name: 1 }] }, ['.steps[0].name is missing', '.steps[1].name is no string']],
    [{ steps: { name: 'first' } }, ['.steps is no list']],
    [{ policy: 'Often' }, ['.policy is none of Always, Never']],
    [{ apiVersion: 'apps/v2' }, ['there is no Thing in apps/v2']],
  ])('of %j says %j', (fields, problems) => {
    expect(schemaProblems({ ...thing, ...fields }, definitions)).toEqual(problems);
  });
});

test('a key that is said twice is refused', () => {
  expect(() => manifestsIn('kind: Service\nkind: Deployment\n')).toThrow('Map keys must be unique');
});
