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

export function carelessness(container: Container): string[] {
  const { resources = {}, ports = [], startupProbe, readinessProbe, livenessProbe } = container;
  const { requests = {}, limits = {} } = resources;
  const asked = [startupProbe, readinessProbe, livenessProbe].map(
    (probe) => (probe?.httpGet ?? probe?.tcpSocket)?.port,
  );
  const isThere = (port: unknown) => ports.some(({ name }: Container) => name === port);
  return [
    ...(startupProbe && readinessProbe && livenessProbe ? [] : ['has not all probes']),
    ...asked
      .filter((port) => typeof port === 'string' && !isThere(port))
      .map((port) => `is probed at the port ${port}, which it has not`),
    ...(requests.cpu && requests.memory && limits.memory ? [] : ['says not what it needs, or at most takes']),
  ];
}
