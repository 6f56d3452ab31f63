import {
  containersOf,
  findManifest,
  type Manifest,
  nameOf,
  type PodTemplate,
  podTemplates,
  selects,
} from './manifest.ts';
import { networkProblems, podsWith, serviceProblems } from './network-rules.ts';
import { carelessness, containerRights, podRights } from './pod-rules.ts';
import { configMapsOf, environmentOf, missedSecrets, ours, type SecretKeys } from './references.ts';

/** What the manifests are held against. */
export type Expected = {
  /** Each has to run. */
  services: readonly string[];
  /** Names that a program of ours may be told in its environment. */
  settings: ReadonlySet<string>;
  /** Secrets that somebody else makes, each with its keys. */
  secrets: SecretKeys;
};

/** A rule that all overlays keep: what is wrong, each with its name. */
export type Policy = (manifests: readonly Manifest[], expected: Expected) => string[];

/** The policies, by what each asks for. */
export const policies: Record<string, Policy> = {
  'every service runs': (manifests, { services }) =>
    [...services.map((name) => [name, `services/${name}/main.ts`] as const), ['gateway', 'gateway/main.ts'] as const]
      .filter(([name, program]) => {
        const deployment = findManifest(manifests, 'Deployment', name);
        return deployment?.spec.template.spec.containers[0].command.includes(program) !== true;
      })
      .map(([name]) => `there is no Deployment that runs ${name}`),

  'pods are restricted': (manifests) =>
    podTemplates(manifests).flatMap((pod) =>
      [...podRights(pod), ...containersOf(pod).flatMap(containerRights)].map(of(pod)),
    ),

  'no pod has a token, but where it is given rights': (manifests) =>
    podTemplates(manifests).flatMap((pod) => {
      const { serviceAccountName: account, automountServiceAccountToken: token } = pod.spec;
      const hasRights = manifests.some(
        ({ kind, subjects }) =>
          kind === 'RoleBinding' && subjects.some(({ name }: { name: string }) => name === account),
      );
      return [
        ...(findManifest(manifests, 'ServiceAccount', account) === undefined
          ? ['has no service account of its own']
          : []),
        ...(token === hasRights ? [] : [`automountServiceAccountToken is not ${hasRights}`]),
      ].map(of(pod));
    }),

  'what runs is watched, and has limits': (manifests) =>
    lasting(manifests).flatMap((pod) =>
      pod.spec.containers.flatMap((container: Container) => carelessness(container).map(of(pod))),
    ),

  'what runs may be moved, one at a time': (manifests) =>
    lasting(manifests)
      .filter(
        ({ labels }) =>
          labels[COMPONENT] !== 'telemetry' &&
          !manifests.some((each) => each.kind === 'PodDisruptionBudget' && selects(each.spec.selector, labels)),
      )
      .map((pod) => of(pod)('has no PodDisruptionBudget')),

  'an update takes no program away before the next is there': (manifests) =>
    podTemplates(manifests)
      .filter(({ owner, labels }) => owner.kind === 'Deployment' && labels[COMPONENT] !== 'telemetry')
      .filter(({ owner }) => owner.spec.strategy?.rollingUpdate?.maxUnavailable !== 0)
      .map((pod) => of(pod)('an update may leave it without a replica')),

  'nothing is let in or out that is not said': (manifests) => {
    const policies = manifests.filter(({ kind }) => kind === 'NetworkPolicy');
    const denial = policies.find(({ spec }) => spec.ingress === undefined && spec.egress === undefined);
    const denies = denial?.spec.policyTypes.length === 2 && Object.keys(denial.spec.podSelector).length === 0;
    return denies ? [] : ['no NetworkPolicy denies everything to all pods'];
  },

  'network policies, services and budgets name what is there': (manifests) => [
    ...manifests.filter(({ kind }) => kind === 'NetworkPolicy').flatMap((each) => networkProblems(each, manifests)),
    ...manifests.filter(({ kind }) => kind === 'Service').flatMap((each) => serviceProblems(each, manifests)),
    ...manifests
      .filter(({ kind, spec }) => kind === 'PodDisruptionBudget' && podsWith(manifests, spec.selector).length === 0)
      .map((each) => `${nameOf(each)} selects no pods`),
  ],

  'images are pinned': (manifests) =>
    podTemplates(manifests).flatMap((pod) =>
      containersOf(pod)
        .filter(({ image }) => !/(:[\w.-]+|@sha256:[0-9a-f]{64})$/.test(image) || image.endsWith(':latest'))
        .map(({ image }) => of(pod)(`the image ${image} has no version`)),
    ),

  'programs are told what they know': (manifests, { settings }) =>
    ours(manifests).flatMap((pod) =>
      environmentOf(pod, manifests)
        .filter((name) => !settings.has(name))
        .map((name) => of(pod)(`there is no setting ${name}`)),
    ),

  'configuration and secrets that are named are there': (manifests, { secrets }) =>
    podTemplates(manifests).flatMap((pod) =>
      [
        ...configMapsOf(pod).filter((name) => findManifest(manifests, 'ConfigMap', name) === undefined),
        ...missedSecrets(pod, secrets),
      ].map((name) => of(pod)(`there is no ${name}`)),
    ),

  'everything can be applied': (manifests) =>
    manifests
      .filter((each) => JSON.stringify(each).length > MAX_APPLIED_BYTES)
      .map((each) => `${nameOf(each)} is too large: kubectl keeps what it applied in an annotation`),

  'everything says that it is part of this': (manifests) =>
    manifests
      .filter(({ metadata }) => metadata.labels?.[PART_OF] !== 'causeway')
      .map((each) => `${nameOf(each)} has no ${PART_OF}`),
};

/** Of production alone. */
export const policiesOfProduction: Record<string, Policy> = {
  'there are at least two of each program, and no more than there are partitions': (manifests, { services }) =>
    [...services, 'gateway'].flatMap((name) => {
      const scaler = manifests.find(
        ({ kind, spec }) =>
          ['ScaledObject', 'HorizontalPodAutoscaler'].includes(kind) && spec.scaleTargetRef.name === name,
      );
      const { minReplicaCount: least = scaler?.spec.minReplicas, maxReplicaCount: most = scaler?.spec.maxReplicas } =
        scaler?.spec ?? {};
      if (scaler === undefined) return [`${name} is not scaled`];
      return least >= 2 && (name === 'gateway' || most <= PARTITIONS)
        ? []
        : [`${name} has ${least} to ${most} replicas`];
    }),

  'who scales decides how many there are': (manifests) =>
    manifests.filter(({ kind, spec }) => kind === 'Deployment' && spec.replicas !== undefined).map(nameOf),

  'the secrets of production are nowhere here': (manifests) =>
    manifests.filter(({ kind }) => kind === 'Secret').map(nameOf),

  'the broker survives the loss of a machine': (manifests) => {
    const replicas = findManifest(manifests, 'StatefulSet', 'nats')?.spec.replicas;
    return replicas === 3 ? [] : [`there are ${replicas} brokers`];
  },
};

const PARTITIONS = 8;
/** Of all annotations of an object together. */
const MAX_APPLIED_BYTES = 256 * 1024;
const PART_OF = 'app.kubernetes.io/part-of';
const COMPONENT = 'app.kubernetes.io/component';

type Container = Manifest['spec'];

function of({ owner }: PodTemplate): (problem: string) => string {
  return (problem) => `${nameOf(owner)}: ${problem}`;
}

/** What is not done and over at some time. */
function lasting(manifests: readonly Manifest[]): PodTemplate[] {
  return podTemplates(manifests).filter(({ owner }) => !['Job', 'CronJob'].includes(owner.kind));
}
