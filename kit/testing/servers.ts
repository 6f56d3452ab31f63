import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { inject } from 'vitest';
import { startMongodb } from '#kit/local/mongodb.ts';
import { startNats } from '#kit/local/nats.ts';
import type { LocalServer } from '#kit/local/server.ts';
import { openServiceParts, type ServiceParts } from '#kit/service-parts.ts';
import { silent } from '#kit/telemetry/logging.ts';
import { atTheEnd } from './at-the-end.ts';
// For the names of what it provides.
import type {} from './global-setup.ts';

export { atTheEnd };

/** A server of a test's own, which it may kill and start again. Ended and removed when the test, or its file, ends. */
export type OwnServer = {
  url: string;
  pid(): number;
  /** As a crash does; with SIGSTOP it hangs until SIGCONT. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  stop(): Promise<void>;
  /** Starts it again on the same port and directory, after it was killed or stopped; ends it in order where it runs. */
  restart(): Promise<void>;
};

/** The address of the database that all test files share, with a path that no other caller has. */
export function sharedMongoUri(): string {
  return `${inject('sharedMongodb')}/test_${randomUUID().replaceAll('-', '')}`;
}

/** The address of the broker that all test files share: for core messages, and streams of names that nobody else has. */
export function sharedNatsUrl(): string {
  return inject('sharedNats');
}

/** A broker of the caller's own, because the platform's streams have fixed names. Not synced to disk unless asked. */
export function ownNats({ syncAlways = false }: { syncAlways?: boolean } = {}): Promise<OwnServer> {
  return ownServer((directory, port) => startNats({ directory, syncAlways, ...(port === undefined ? {} : { port }) }));
}

/** A database of the caller's own, for tests that stop it. It keeps its data on disk. */
export function ownMongodb(): Promise<OwnServer> {
  return ownServer((directory, port) => startMongodb({ directory, ...(port === undefined ? {} : { port }) }));
}

/** The master key of services in tests; a platform that shares a broker with one is told it. */
export const testMasterKey = Buffer.alloc(32, 7);

/** A service's parts on these servers, with a key that is always the same; closed when the test, or its file, ends. */
export async function openTestParts(
  service: string,
  { natsUrl, mongodbUri, clock }: { natsUrl: string; mongodbUri: string; clock?: () => Date },
): Promise<ServiceParts & { close(): Promise<void> }> {
  let opened: { close(): Promise<void> } | undefined;
  atTheEnd(async () => opened?.close());
  const settings = {
    natsUrl,
    mongodbUri,
    replicas: 1,
    personalDataKey: testMasterKey,
    sampleData: false,
  };
  const parts = await openServiceParts(service, settings, silent, clock);
  opened = parts;
  await parts.personalData.begin();
  return parts;
}

/** A path of the caller's own, removed after the run. */
export function ownDirectory(): Promise<string> {
  return mkdtemp(join(inject('testDirectory'), 'own-'));
}

async function ownServer(start: (directory: string, port?: number) => Promise<LocalServer>): Promise<OwnServer> {
  let running: LocalServer | undefined;
  let directory: string | undefined;
  atTheEnd(async () => {
    await running?.kill();
    if (directory !== undefined) await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  });
  const own = await ownDirectory();
  directory = own;
  const first = await start(own);
  running = first;
  const current = () => running ?? first;
  return {
    url: first.url,
    pid: () => current().pid,
    kill: (signal) => current().kill(signal),
    stop: () => current().stop(),
    restart: async () => {
      await current().stop();
      running = await start(own, Number(new URL(first.url).port));
    },
  };
}
