import { setTimeout as delay } from 'node:timers/promises';
import type { Kubectl } from './kubectl.ts';

type ServicePorts = { spec: { ports: { name: string; port: number; nodePort?: number }[] } };

export type GatewayDoors = {
  /** `host:port` of the gRPC door. */
  grpc: string;
  /** Address of the HTTP door. */
  http: string;
  /** Whether it is a tunnel to one pod, which ends with it: then no call is without an error when the gateway changes. */
  isTunnel: boolean;
  close(): void;
};

const REACHED_WITHIN_MS = 10_000;

/** The gateway on 127.0.0.1: at the ports of its node where they are reached there, else by tunnels. */
export async function gatewayDoors(kubectl: Kubectl): Promise<GatewayDoors> {
  const { spec } = await kubectl.json<ServicePorts>('get', 'service', 'gateway');
  const nodePort = (name: string) => spec.ports.find((port) => port.name === name)?.nodePort;
  const http = `http://127.0.0.1:${nodePort('http')}`;
  if (nodePort('http') !== undefined && (await answers(http))) {
    return { grpc: `127.0.0.1:${nodePort('grpc')}`, http, isTunnel: false, close: () => {} };
  }
  const portOf = (name: string) => spec.ports.find((port) => port.name === name)?.port ?? 0;
  const tunnels = [await tunnel(kubectl, portOf('grpc')), await tunnel(kubectl, portOf('http'))] as const;
  return {
    grpc: `127.0.0.1:${tunnels[0].port}`,
    http: `http://127.0.0.1:${tunnels[1].port}`,
    isTunnel: true,
    close: () => {
      for (const { close } of tunnels) close();
    },
  };
}

async function answers(http: string): Promise<boolean> {
  const latest = performance.now() + REACHED_WITHIN_MS;
  while (performance.now() < latest) {
    const isThere = await fetch(`${http}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isThere) return true;
    await delay(250);
  }
  return false;
}

/** Made again, on the same port, whenever its pod has gone. */
async function tunnel(kubectl: Kubectl, port: number): Promise<{ port: number; close(): void }> {
  let isOpen = true;
  let current = await kubectl.forward('service/gateway', port);
  const local = current.port;
  void (async () => {
    while (isOpen) {
      await current.closed;
      while (isOpen) {
        const next = await kubectl.forward('service/gateway', port, local).catch(() => undefined);
        if (next !== undefined) {
          current = next;
          break;
        }
        await delay(250);
      }
    }
  })();
  return {
    port: local,
    close: () => {
      isOpen = false;
      current.close();
    },
  };
}
