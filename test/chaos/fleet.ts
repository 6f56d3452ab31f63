import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { vi } from 'vitest';
import { freePort } from '#kit/local/free-port.ts';
import { programEnvironment } from '#kit/testing/program-environment.ts';
import { atTheEnd, type OwnServer, ownMongodb, ownNats } from '#kit/testing/servers.ts';
import { type ServiceName, services } from '../../gateway/services.ts';
import { addressKey, gatewaySettings } from '../../gateway/settings.ts';
import type { Doors } from '../platform.ts';

/** One process of the platform. */
export type Member = {
  name: string;
  start(): Promise<void>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** What it has logged, of all its lives. */
  output(): string;
};

/** The platform as it runs in production: each service, the gateway, broker and database in a process of its own. */
export type Fleet = Doors & {
  nats: OwnServer;
  mongodb: OwnServer;
  members: Record<ServiceName | 'gateway', Member>;
};

const names = Object.keys(services) as ServiceName[];

/** @param settings of every process, as in the environment. */
export async function startFleet(settings: Record<string, string> = {}): Promise<Fleet> {
  const [nats, mongodb] = await Promise.all([ownNats({ syncAlways: true }), ownMongodb()]);
  const members: Member[] = [];
  atTheEnd(async () => {
    await Promise.all(members.map((each) => each.kill()));
  });
  const common = { NATS_URL: nats.url, MONGODB_URI: mongodb.url, LOG_LEVEL: 'warn', ...settings };
  const urls: Record<string, string> = {};
  const parts: Partial<Fleet['members']> = {};
  for (const name of names) {
    const [grpcPort, httpPort] = [await freePort(), await freePort()];
    const ports = { SERVICE_GRPC_PORT: String(grpcPort), SERVICE_HTTP_PORT: String(httpPort) };
    urls[gatewaySettings[addressKey(name)].name] = `http://127.0.0.1:${grpcPort}`;
    parts[name] = processOf(name, `services/${name}/main.ts`, httpPort, { ...common, ...ports });
  }
  const [grpcPort, httpPort] = [await freePort(), await freePort()];
  const ports = { GATEWAY_GRPC_PORT: String(grpcPort), GATEWAY_HTTP_PORT: String(httpPort), RATE_LIMIT: '0' };
  parts.gateway = processOf('gateway', 'gateway/main.ts', httpPort, { ...common, ...urls, ...ports });
  members.push(...Object.values(parts));
  await Promise.all(members.map((each) => each.start()));
  return {
    nats,
    mongodb,
    members: parts as Fleet['members'],
    grpc: `127.0.0.1:${grpcPort}`,
    http: `http://127.0.0.1:${httpPort}`,
  };
}

/** A process of this project, not started yet. */
export function processOf(name: string, program: string, httpPort: number, settings: Record<string, string>): Member {
  let child: ChildProcess | undefined;
  let printed = '';
  const isRunning = () => child !== undefined && child.exitCode === null && child.signalCode === null;
  return {
    name,
    output: () => printed,
    signal: (signal) => child?.kill(signal),
    kill: async () => {
      if (!isRunning()) return;
      child?.kill('SIGKILL');
      if (child !== undefined) await once(child, 'exit');
    },
    start: async () => {
      const started = spawn(process.execPath, [program], {
        cwd: new URL('../..', import.meta.url),
        env: { ...programEnvironment(), ...settings },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      child = started;
      started.stderr.on('data', (chunk) => {
        printed += chunk;
      });
      await vi.waitFor(
        async () => {
          const status = started.exitCode === null ? await healthz(httpPort) : undefined;
          if (status !== 200) throw new Error(`${name} is not there:\n${printed}`);
        },
        { timeout: 60_000, interval: 50 },
      );
    },
  };
}

/** Whether it answers at all: a service whose broker is away is there, and not ready. */
async function healthz(port: number): Promise<number | undefined> {
  return fetch(`http://127.0.0.1:${port}/healthz`).then(
    ({ status }) => status,
    () => undefined,
  );
}
