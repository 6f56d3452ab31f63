import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { builtOnce, outputOf, programOnPath } from './cache.ts';
import { freePort, isFree } from './free-port.ts';
import { clearLeashed, startLeashed } from './leash.ts';
import type { LocalServer } from './server.ts';

/** As in nats-server/go.mod, where its sum stands too. */
const VERSION = '2.15.2';
/** The first that can reset a consumer. */
const OLDEST = [2, 14] as const;
const ATTEMPTS = 3;
const SERVER = 'nats-server';
/** Where the server writes on which ports it listens. */
const PORTS = 'ports';

export type NatsOptions = {
  /** Keeps the journals and the server's log. */
  directory: string;
  /** Whether what is in the directory is thrown away first. Default false. */
  fresh?: boolean;
  /** Left out: a free one. */
  port?: number;
  /** Whether a publish is acknowledged only once it is on disk. Default true. */
  syncAlways?: boolean;
  /** Where its monitoring listens, on 127.0.0.1; -1: any free port. Left out: it has none. */
  monitorPort?: number | undefined;
};

/** Starts a broker with JetStream on 127.0.0.1. Rejects with what to install where there is none and none can be built. */
export async function startNats({
  directory,
  fresh = false,
  port,
  syncAlways = true,
  monitorPort,
}: NatsOptions): Promise<LocalServer & { monitorUrl: string | undefined }> {
  const program = await natsProgram();
  const own = resolve(directory);
  if (fresh) await clearLeashed(SERVER, own);
  for (let attempt = 1; ; attempt++) {
    const chosen = port || (await freePort());
    try {
      const server = await startOn(own, { port: chosen, syncAlways, monitorPort }, program.path);
      const { monitoring } = (await listensOn(join(own, PORTS))) ?? {};
      return { ...server, monitorUrl: monitoring?.[0], url: `nats://127.0.0.1:${chosen}`, choice: program.choice };
    } catch (error) {
      // Somebody may have taken the port since it was found free.
      if (port || attempt === ATTEMPTS || (await isFree(chosen))) throw error;
    }
  }
}

type Listening = { port: number; syncAlways: boolean; monitorPort: number | undefined };

async function startOn(directory: string, listening: Listening, program: string) {
  const portsDirectory = join(directory, PORTS);
  const configuration = join(directory, 'nats-server.conf');
  return startLeashed({
    name: SERVER,
    directory,
    command: program,
    arguments: ['-c', configuration],
    prepare: async () => {
      await rm(portsDirectory, { recursive: true, force: true });
      await mkdir(portsDirectory);
      await writeFile(configuration, configurationOf(directory, listening, portsDirectory));
    },
    // The server writes its ports once it listens on them, which is after it has recovered its streams.
    isReady: async () => (await listensOn(portsDirectory)) !== undefined,
  });
}

/** Where the server says that it listens; undefined as long as it has not, or not to its end. */
async function listensOn(portsDirectory: string): Promise<{ monitoring?: string[] } | undefined> {
  const [file] = await readdir(portsDirectory);
  if (file === undefined) return undefined;
  try {
    return JSON.parse(await readFile(join(portsDirectory, file), 'utf8'));
  } catch {
    return undefined;
  }
}

function configurationOf(
  directory: string,
  { port, syncAlways, monitorPort }: Listening,
  portsDirectory: string,
): string {
  return [
    'server_name: causeway-local',
    'host: "127.0.0.1"',
    `port: ${port}`,
    ...(monitorPort === undefined ? [] : [`http: "127.0.0.1:${monitorPort}"`]),
    `ports_file_dir: ${JSON.stringify(portsDirectory)}`,
    'jetstream {',
    `  store_dir: ${JSON.stringify(directory)}`,
    // Otherwise streams are refused whose limits together exceed three quarters of the disk's free space.
    '  max_file_store: 1TB',
    ...(syncAlways ? ['  sync_interval: always'] : []),
    '}',
    '',
  ].join('\n');
}

/** The broker's program: from the PATH, or built once. */
export async function natsProgram(): Promise<{ path: string; choice: string }> {
  const installed = await programOnPath('nats-server');
  if (installed !== undefined) {
    const version = /v?(\d+)\.(\d+)\.\d+\S*/.exec(await outputOf(installed, ['-v']));
    if (version !== null && isRecent(Number(version[1]), Number(version[2]))) {
      return { path: installed, choice: `nats-server on the PATH (${version[0]})` };
    }
    say(
      `nats-server on the PATH is ${version?.[0] ?? 'of an unknown version'}, but ${OLDEST.join('.')} is needed: not used`,
    );
  }
  const go = await programOnPath('go');
  if (go === undefined) {
    throw new Error(
      `There is no broker. Install nats-server ${OLDEST.join('.')} or newer (https://github.com/nats-io/nats-server/releases), ` +
        'or Go (https://go.dev/dl), with which it is built; or set NATS_URL to a broker that runs.',
    );
  }
  const path = await builtOnce(`nats-server-${VERSION}`, (target) => build(go, target));
  return { path, choice: `nats-server v${VERSION}, built with Go` };
}

/** The broker's program for a Linux machine, such as one in a container; built once. @param architecture as Go calls it. */
export async function natsProgramForLinux(architecture: string): Promise<string> {
  const go = await programOnPath('go');
  if (go === undefined) throw new Error('The broker is built with Go (https://go.dev/dl), which is not on the PATH.');
  return builtOnce(`nats-server-${VERSION}-linux-${architecture}`, (target) =>
    build(go, target, { GOOS: 'linux', GOARCH: architecture }),
  );
}

async function build(go: string, target: string, platform: Record<string, string> = {}): Promise<void> {
  say(`building nats-server ${VERSION}, once, about half a minute`);
  const module = 'github.com/nats-io/nats-server/v2';
  await outputOf(go, ['build', '-mod=readonly', '-trimpath', '-ldflags=-s -w', '-o', target, module], {
    cwd: join(import.meta.dirname, 'nats-server'),
    environment: { CGO_ENABLED: '0', GOWORK: 'off', ...platform },
  });
}

function isRecent(major: number, minor: number): boolean {
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
