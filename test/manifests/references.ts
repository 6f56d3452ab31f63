import { containersOf, findManifest, type Manifest, type PodTemplate, podTemplates } from './manifest.ts';

type Container = Manifest['spec'];

/** The keys of each secret. */
export type SecretKeys = ReadonlyMap<string, ReadonlySet<string>>;

/** Pods that run the image of this repository. */
export function ours(manifests: readonly Manifest[]): PodTemplate[] {
  return podTemplates(manifests).filter(({ spec }) => /(^|\/)causeway[:@]/.test(spec.containers[0].image));
}

/** What a pod is told, by name; without what secrets say. */
export function environmentOf(pod: PodTemplate, manifests: readonly Manifest[]): string[] {
  return containersOf(pod).flatMap(({ env = [], envFrom = [] }) => [
    ...env.map(({ name }: { name: string }) => name),
    ...envFrom.flatMap(({ configMapRef }: Container) =>
      Object.keys(findManifest(manifests, 'ConfigMap', configMapRef?.name)?.data ?? {}),
    ),
  ]);
}

/** ConfigMaps that a pod needs, by name. */
export function configMapsOf(pod: PodTemplate): string[] {
  return [...sourcesOf(pod), ...environmentSourcesOf(pod)].flatMap(
    ({ configMap, configMapRef }) => configMap?.name ?? configMapRef?.name ?? [],
  );
}

/** Secrets that a pod needs and that are not there, each with the key that is missed, if the secret is there. */
export function missedSecrets(pod: PodTemplate, there: SecretKeys): string[] {
  const inVolumes = sourcesOf(pod).flatMap(({ secret }) =>
    secret === undefined || secret.optional
      ? []
      : [{ name: secret.secretName ?? secret.name, items: secret.items ?? [] }],
  );
  const inEnvironment = environmentSourcesOf(pod).flatMap(({ secretRef }) =>
    secretRef === undefined ? [] : [{ name: secretRef.name, items: [] }],
  );
  return [...inVolumes, ...inEnvironment].flatMap(({ name, items }) => {
    const keys = there.get(name);
    if (keys === undefined) return [name];
    return items
      .filter(({ key }: { key: string }) => !keys.has(key))
      .map(({ key }: { key: string }) => `${name}/${key}`);
  });
}

function environmentSourcesOf(pod: PodTemplate): Manifest['spec'][] {
  return containersOf(pod).flatMap(({ envFrom = [] }) => envFrom);
}

function sourcesOf({ spec }: PodTemplate): Manifest['spec'][] {
  return (spec.volumes ?? []).flatMap((volume: Manifest['spec']) => volume.projected?.sources ?? [volume]);
}
