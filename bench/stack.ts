import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Broker, connectBroker } from '#kit/broker.ts';
import { freePort } from '#kit/local/free-port.ts';
import { type LeashedServer, startLeashed } from '#kit/local/leash.ts';
import { startMongodb } from '#kit/local/mongodb.ts';
import { startNats } from '#kit/local/nats.ts';
import type { Started } from '#kit/process.ts';
import type { ServiceName } from '../gateway/services.ts';
import { addressKey, gatewaySettings } from '../gateway/settings.ts';
import { cpuSeconds } from './usage.ts';

const project = join(import.meta.dirname, '..');

/** A platform with servers of its own, each in a process of its own. */
export type Stack = {
  natsUrl: string;
  /** `host:port` of the gRPC door. */
  grpc: string;
  /** Its HTTP door, where the console is too. */
  http: string;
  broker: Broker;
  platformPid(): number;
  /** Ends the platform in order and starts it again: nothing is in its memory then. */
  restartPlatform(without?: readonly ServiceName[]): Promise<void>;
  stopPlatform(): Promise<void>;
  /** Until every view of the orders shows all of them. */
  settled(): Promise<void>;
  /** CPU seconds that each process has used so far. */
  cpu(): Promise<Record<'platform' | 'broker' | 'database', number>>;
};

export type StackOptions = {
  /** Whether an order is on disk when it is acknowledged. */
  syncAlways: boolean;
  /** Options of Node for the platform's process. */
  nodeOptions: readonly string[];
  /** Services that are not started: what they do is not part of what is measured, or they are to be away. */
  without?: readonly ServiceName[];
  /** When the simulated carrier delivers. */
  deliversAfter?: string;
};

/** All that follows an order after it was placed. */
export const theSaga: readonly ServiceName[] = [
  'fulfilment',
  'payments',
  'shipping',
  'notifications',
  'integration',
  'analytics',
  'operations',
];

/** Starts broker, database and platform, as `npm start` has them, on free ports. */
export async function startStack(
  directory: string,
  { syncAlways, nodeOptions, without = [], deliversAfter = '30s' }: StackOptions,
  started: Started,
): Promise<Stack> {
  const nats = await startNats({ directory: join(directory, 'nats'), syncAlways });
  started.add('broker', nats.stop);
  const mongodb = await startMongodb({ directory: join(directory, 'mongodb') });
  started.add('database', mongodb.stop);
  const [grpcPort, httpPort] = [await freePort(), await freePort()];
  const startWords = await wordsOfStart();
  const start = (leftOut: readonly ServiceName[]) =>
    startProgram(directory, 'platform', [...nodeOptions, ...startWords], 'Causeway is ready', {
      ...nowhere(leftOut),
      NATS_URL: nats.url,
      MONGODB_URI: mongodb.url,
      GATEWAY_GRPC_PORT: String(grpcPort),
      GATEWAY_HTTP_PORT: String(httpPort),
      RATE_LIMIT: '0',
      CARRIER_DELIVERS_AFTER: deliversAfter,
    });
  let platform = await start(without);
  started.add('platform', () => platform.stop());
  const broker = await connectBroker({ url: nats.url, name: 'bench' });
  started.add('connection', broker.close);
  return {
    natsUrl: nats.url,
    grpc: `127.0.0.1:${grpcPort}`,
    http: `http://127.0.0.1:${httpPort}`,
    broker,
    platformPid: () => platform.pid,
    stopPlatform: () => platform.stop(),
    restartPlatform: async (leftOut = without) => {
      await platform.stop();
      platform = await start(leftOut);
    },
    settled: () => settled(broker),
    cpu: async () => {
      const [ofPlatform, ofBroker, ofDatabase] = await Promise.all(
        [platform.pid, nats.pid, mongodb.pid].map(cpuSeconds),
      );
      return { platform: ofPlatform ?? 0, broker: ofBroker ?? 0, database: ofDatabase ?? 0 };
    },
  };
}

/** Settings that say of services that they run somewhere else, where there is nobody. */
function nowhere(names: readonly ServiceName[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [gatewaySettings[addressKey(name)].name, 'http://127.0.0.1:9']));
}

/** What `npm start` runs, with its options. */
export async function wordsOfStart(): Promise<string[]> {
  const { scripts } = JSON.parse(await readFile(join(project, 'package.json'), 'utf8'));
  return scripts.start.split(' ').slice(1);
}

/** Runs a program of this project until it is stopped, or until this process ends. */
export function startProgram(
  directory: string,
  name: string,
  words: readonly string[],
  isReadyWhenItSays: string,
  environment: Record<string, string> = {},
): Promise<LeashedServer> {
  const own = join(directory, name);
  const settings = Object.entries({ LOG_LEVEL: 'warn', ...environment, CAUSEWAY_DATA: own });
  return startLeashed({
    name,
    directory: own,
    command: 'env',
    arguments: [
      ...settings.map(([setting, value]) => `${setting}=${value}`),
      process.execPath,
      ...words.map((word) => (word.endsWith('.ts') ? join(project, word) : word)),
    ],
    isReady: async () => (await readFile(join(own, `${name}.log`), 'utf8').catch(() => '')).includes(isReadyWhenItSays),
  });
}

const LOOK_MS = 20;
const SETTLE_TIMEOUT_MS = 180_000;

async function settled({ manager }: Broker): Promise<void> {
  const latest = performance.now() + SETTLE_TIMEOUT_MS;
  while (performance.now() < latest) {
    const consumers = await Array.fromAsync(manager.consumers.list('ORDERS'));
    const views = consumers.filter(({ config }) => config.durable_name !== undefined);
    if (views.length > 0 && views.every((view) => view.num_pending === 0 && view.num_ack_pending === 0)) return;
    await delay(LOOK_MS);
  }
  throw new Error(`the views have not caught up within ${SETTLE_TIMEOUT_MS / 1_000} s`);
}
