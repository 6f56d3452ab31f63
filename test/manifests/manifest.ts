import { parseAllDocuments } from 'yaml';

/** What is read of a manifest here, of whatever kind. */
export type Manifest = {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Labels };
  // biome-ignore lint/suspicious/noExplicitAny: the schema has been checked before anything is read from it.
  [field: string]: any;
};

export type Labels = Record<string, string>;

/** What a controller makes pods from. */
export type PodTemplate = { owner: Manifest; labels: Labels; spec: Manifest['spec'] };

const WITH_PODS = ['Deployment', 'StatefulSet', 'DaemonSet', 'Job'];

/** The documents of a YAML text. @throws YAMLParseError where it is none, or says a key twice. */
export function manifestsIn(text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document.contents === null ? [] : [document.toJS() as Manifest];
  });
}

/** The workloads among the manifests, each with what its pods are. */
export function podTemplates(manifests: readonly Manifest[]): PodTemplate[] {
  return manifests.flatMap((owner) => {
    const template = WITH_PODS.includes(owner.kind)
      ? owner.spec.template
      : owner.kind === 'CronJob'
        ? owner.spec.jobTemplate.spec.template
        : undefined;
    return template === undefined ? [] : [{ owner, labels: template.metadata?.labels ?? {}, spec: template.spec }];
  });
}

/** The containers of a pod, those that run before the others too. */
export function containersOf({ spec }: PodTemplate): Manifest['spec'][] {
  return [...spec.containers, ...(spec.initContainers ?? [])];
}

/** How a manifest is called in a message: `Deployment orders`. */
export function nameOf({ kind, metadata }: Manifest): string {
  return `${kind} ${metadata.name}`;
}

type Expression = { key: string; operator: string; values?: string[] };
export type Selector = { matchLabels?: Labels; matchExpressions?: Expression[] };

/** Whether a selector selects what has these labels. */
export function selects({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Labels): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every((expression) => holds(expression, labels))
  );
}

function holds({ key, operator, values = [] }: Expression, labels: Labels): boolean {
  const value = labels[key];
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      throw new Error(`${operator} is no operator of a selector`);
  }
}

/** One by its kind and name. */
export function findManifest(manifests: readonly Manifest[], kind: string, name: string): Manifest | undefined {
  return manifests.find((each) => each.kind === kind && each.metadata.name === name);
}
