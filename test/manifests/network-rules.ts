import { containersOf, type Manifest, nameOf, type PodTemplate, podTemplates, selects } from './manifest.ts';

type Container = Manifest['spec'];

/** Such as a job: a policy may be about it while there is none. */
const COMES_AND_GOES = /"app.kubernetes.io\/component":"operator"/;

/** Whose pods a selector selects. */
export function podsWith(manifests: readonly Manifest[], selector: Manifest['spec']): PodTemplate[] {
  return podTemplates(manifests).filter(({ labels }) => selects(selector, labels));
}

function hasPort(pods: readonly PodTemplate[], port: string | number): boolean {
  if (typeof port === 'number') return true;
  return pods.some((pod) =>
    containersOf(pod).some(({ ports = [] }) => ports.some(({ name }: Container) => name === port)),
  );
}

/** Pods of here that a rule is about: some of another namespace are not known. */
function peersOf(rule: Manifest['spec'], manifests: readonly Manifest[]): PodTemplate[] | undefined {
  const peers: Manifest['spec'][] = rule.to ?? rule.from ?? [];
  const isOutside = peers.length === 0 || peers.some(({ namespaceSelector, ipBlock }) => namespaceSelector ?? ipBlock);
  return isOutside ? undefined : peers.flatMap(({ podSelector }) => podsWith(manifests, podSelector));
}

/** What is wrong with whom a network policy names, and with the ports. */
export function networkProblems(policy: Manifest, manifests: readonly Manifest[]): string[] {
  const { podSelector, ingress = [], egress = [] } = policy.spec;
  const selected = podsWith(manifests, podSelector);
  const wrong = (ports: Manifest['spec'][] = [], pods: readonly PodTemplate[]) =>
    ports.filter(({ port }) => !hasPort(pods, port)).map(({ port }) => `${nameOf(policy)}: no pod has a port ${port}`);
  return [
    ...(selected.length === 0 && !COMES_AND_GOES.test(JSON.stringify(podSelector))
      ? [`${nameOf(policy)} selects no pods`]
      : []),
    ...ingress.flatMap(({ ports }: Manifest['spec']) => (selected.length === 0 ? [] : wrong(ports, selected))),
    ...egress.flatMap((rule: Manifest['spec']) => {
      const peers = peersOf(rule, manifests);
      return peers === undefined || peers.length === 0 ? [] : wrong(rule.ports, peers);
    }),
  ];
}

/** What is wrong with whom a service leads to. */
export function serviceProblems(service: Manifest, manifests: readonly Manifest[]): string[] {
  const pods = podsWith(manifests, { matchLabels: service.spec.selector });
  if (pods.length === 0) return [`${nameOf(service)} selects no pods`];
  return service.spec.ports
    .filter(({ targetPort, port }: Manifest['spec']) => !hasPort(pods, targetPort ?? port))
    .map(({ targetPort }: Manifest['spec']) => `${nameOf(service)}: no pod has a port ${targetPort}`);
}
