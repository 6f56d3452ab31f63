import { networkInterfaces } from 'node:os';

/** Names that tools for local clusters give to theirs. */
const LOCAL_NAMES = /^(kind-|k3d-|minikube|docker-desktop|colima|orbstack|rancher-desktop|microk8s)/;
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/**
 * Whether a cluster is on this machine, as far as its kubeconfig can tell: its name is one that tools for local clusters
 * give, or its API is at an address of this machine.
 * @param server address of its API.
 */
export function isLocal(context: string, server: string, own: ReadonlySet<string> = ownAddresses()): boolean {
  if (LOCAL_NAMES.test(context)) return true;
  const { hostname } = new URL(server);
  return LOOPBACK.test(hostname) || own.has(hostname.replace(/^\[(.*)\]$/, '$1'));
}

function ownAddresses(): Set<string> {
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return new Set(addresses.map(({ address }) => address));
}
