import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { freePort } from '#kit/local/free-port.ts';
import { Started } from '#kit/process.ts';
import type { Caller } from '#kit/rpc/call.ts';
import { DEVELOPMENT_KEY, signToken } from '#kit/rpc/identity.ts';
import { readSettings } from '#kit/settings.ts';
import { type Logger, silent } from '#kit/telemetry/logging.ts';
import type { Telemetry } from '#kit/telemetry/setup.ts';
import { programEnvironment } from '#kit/testing/program-environment.ts';
import { atTheEnd, type OwnServer, ownDirectory, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { allSettings, startPlatform } from '../gateway/platform.ts';
import { type ServiceName, services } from '../gateway/services.ts';
import { addressKey, gatewaySettings } from '../gateway/settings.ts';

/** A platform as its callers see it. */
export type Doors = {
  /** `host:port` of the gRPC door. */
  grpc: string;
  /** Address of the HTTP door. */
  http: string;
};

export type TestPlatform<Nats = OwnServer> = Doors & { nats: Nats; mongodbUri: string; stop(): Promise<void> };

export type TestPlatformOptions<Nats = OwnServer> = {
  /** Settings, as in the environment. */
  environment?: Record<string, string>;
  /** Left out: a broker of the platform's own, not synced. */
  nats?: Nats;
  /** Left out: a database of the platform's own on the server that all tests share. */
  mongodbUri?: string;
  logger?: Logger;
};

/** Settings of a platform where nothing follows from an order: who would act on it is said to run where nobody is. */
export const nothingFollows: Record<string, string> = Object.fromEntries(
  (Object.keys(services) as ServiceName[])
    .filter((name) => name !== 'orders' && name !== 'inventory')
    .map((name) => [gatewaySettings[addressKey(name)].name, 'http://127.0.0.1:9']),
);

/** The whole platform in the test's process, on free ports; stopped when the test, or its file, ends. */
export async function testPlatform<Nats extends { url: string } = OwnServer>(
  options: TestPlatformOptions<Nats> = {},
): Promise<TestPlatform<Nats>> {
  const started = new Started();
  // Asked for first, so that it ends last: a platform whose broker is gone takes its time to stop.
  const broker = options.nats ?? (ownNats() as Promise<OwnServer & Nats>);
  atTheEnd(() => started.stop());
  const nats = await broker;
  const mongodbUri = options.mongodbUri ?? sharedMongoUri();
  const environment = { GATEWAY_GRPC_PORT: '0', GATEWAY_HTTP_PORT: '0', RATE_LIMIT: '0', ...options.environment };
  const settings = readSettings(allSettings, environment);
  const telemetry: Pick<Telemetry, 'serveMetrics'> = {
    serveMetrics: async (_, response) => void response.end('up 1\n'),
  };
  const servers = { natsUrl: nats.url, mongodbUri };
  const { grpcPort, httpPort } = await startPlatform(
    settings,
    servers,
    telemetry,
    started,
    () => options.logger ?? silent,
  );
  return {
    grpc: `127.0.0.1:${grpcPort}`,
    http: `http://127.0.0.1:${httpPort}`,
    nats,
    mongodbUri,
    stop: () => started.stop(),
  };
}

/** What the header `authorization` says for this caller, with the development key. */
export async function bearer(subject: string, role: Caller['role'] = 'customer', expires = '1h'): Promise<string> {
  return `Bearer ${await signToken({ subject, role }, DEVELOPMENT_KEY, expires)}`;
}

export type PlatformProcess = Doors & {
  /** Its data directory. */
  data: string;
  /** All that it has printed since its last start. */
  output(): string;
  /** Ends it as a crash would; its embedded servers go with it. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same ports and data, and waits until it is ready. */
  restart(): Promise<void>;
};

/** `npm start` in a process of its own, with embedded servers, on free ports and a data directory of its own. */
export async function platformProcess(
  settings: Record<string, string> = {},
  words: readonly string[] = [],
): Promise<PlatformProcess> {
  let child: ChildProcess | undefined;
  let printed = '';
  const end = async (signal: NodeJS.Signals) => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  };
  atTheEnd(() => end('SIGKILL'));
  const data = await ownDirectory();
  const [grpcPort, httpPort] = [await freePort(), await freePort()];
  const { TMPDIR, XDG_CACHE_HOME } = process.env;
  const inherited = Object.entries({ ...programEnvironment(), TMPDIR, XDG_CACHE_HOME, CI: 'true' });
  const environment = {
    ...Object.fromEntries(inherited.filter(([, value]) => value !== undefined)),
    CAUSEWAY_DATA: data,
    GATEWAY_GRPC_PORT: String(grpcPort),
    GATEWAY_HTTP_PORT: String(httpPort),
    ...settings,
  };
  const start = async () => {
    printed = '';
    const started = spawn(process.execPath, ['gateway/start.ts', ...words], {
      cwd: new URL('..', import.meta.url),
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    const listen = (chunk: Buffer) => {
      printed += chunk;
      if (printed.includes('Causeway is ready')) resolve();
    };
    started.stdout.on('data', listen);
    started.stderr.on('data', listen);
    started.once('exit', (status) => reject(new Error(`the platform ended with ${status}:\n${printed}`)));
    await ready;
  };
  await start();
  return {
    data,
    grpc: `127.0.0.1:${grpcPort}`,
    http: `http://127.0.0.1:${httpPort}`,
    output: () => printed,
    kill: (signal = 'SIGKILL') => end(signal),
    restart: async () => {
      await end('SIGKILL');
      await start();
    },
  };
}
