import type { Manifest, PodTemplate } from './manifest.ts';

type Container = Manifest['spec'];

const NAMESPACES = ['hostNetwork', 'hostPID', 'hostIPC'];
const VOLUMES = ['configMap', 'downwardAPI', 'emptyDir', 'ephemeral', 'persistentVolumeClaim', 'projected', 'secret'];

/** Pod Security Standards, "restricted", and that its own user is said. */
export function podRights({ spec }: PodTemplate): string[] {
  const { runAsNonRoot, runAsUser, seccompProfile } = spec.securityContext ?? {};
  const volumes: Record<string, unknown>[] = spec.volumes ?? [];
  return [
    ...(runAsNonRoot === true && runAsUser > 0 ? [] : ['may run as root']),
    ...(seccompProfile?.type === 'RuntimeDefault' ? [] : ['may call everything of the kernel']),
    ...NAMESPACES.filter((name) => spec[name] === true).map((name) => `has ${name}`),
    ...volumes
      .filter((volume) => !Object.keys(volume).every((key) => key === 'name' || VOLUMES.includes(key)))
      .map(({ name }) => `the volume ${name} is of a kind that is not allowed`),
  ];
}

export function containerRights({ securityContext = {}, ports = [] }: Container): string[] {
  const { allowPrivilegeEscalation, readOnlyRootFilesystem, privileged, capabilities = {} } = securityContext;
  return [
    ...(allowPrivilegeEscalation === false && privileged !== true ? [] : ['may get more rights']),
    ...(readOnlyRootFilesystem === true ? [] : ['may write to its image']),
    ...(capabilities.drop?.includes('ALL') && capabilities.add === undefined ? [] : ['keeps capabilities']),
    ...(ports.some(({ hostPort }: Container) => hostPort !== undefined) ? ['takes a port of its machine'] : []),
  ];
}

export function carelessness({ resources = {}, startupProbe, readinessProbe, livenessProbe }: Container): string[] {
  const { requests = {}, limits = {} } = resources;
  return [
    ...(startupProbe && readinessProbe && livenessProbe ? [] : ['has not all probes']),
    ...(requests.cpu && requests.memory && limits.memory ? [] : ['says not what it needs, or at most takes']),
  ];
}
