import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { builtOnce, outputOf, programOnPath } from './cache.ts';
import { freePort, isFree } from './free-port.ts';
import { clearLeashed, type LeashedServer, startLeashed } from './leash.ts';
import type { LocalServer } from './server.ts';

export type MongodbOptions = {
  /** Keeps the data; left out: nothing is kept. */
  directory?: string | undefined;
  /** Whether what is in the directory is thrown away first. Default false. */
  fresh?: boolean;
  /** Left out: a free one. */
  port?: number;
};

const kinds = ['mongod', 'stand-in'] as const;
type Kind = (typeof kinds)[number];

/** A way to run a database, with what it needs found or built. */
export type MongodbProgram = {
  choice: string;
  /** Each keeps its data in a folder of this name, because neither reads the other's. */
  kind: Kind;
  /** Starts it in the directory; it keeps its data there, or only while it runs. */
  start(directory: string, port: number, keeps: boolean): Promise<LeashedServer>;
};

/** The oldest that the driver talks to. */
const OLDEST = [4, 2] as const;
const ATTEMPTS = 3;
const REACHABLE_TIMEOUT_MS = 2_000;
const DOWNLOADS = 'https://fastdl.mongodb.org';
const STAND_IN = join(import.meta.dirname, 'mongo-stand-in');
/** Only the first compiler: measured, it starts faster and answers single writes twice as fast as both together. */
const JAVA_OPTIONS = ['-XX:MaxRAMPercentage=25', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

/** Starts a database on 127.0.0.1. Rejects with what to install where there is none and none can be had. */
export async function startMongodb({ directory, fresh = false, port }: MongodbOptions = {}): Promise<LocalServer> {
  const kept = directory === undefined ? undefined : resolve(directory);
  const program = await mongodbProgram(kept === undefined || fresh ? undefined : await kindIn(kept));
  if (kept !== undefined && fresh) await Promise.all(kinds.map((kind) => clearLeashed(kind, join(kept, kind))));
  const own = kept === undefined ? await mkdtemp(join(tmpdir(), 'causeway-mongodb-')) : join(kept, program.kind);
  await mkdir(own, { recursive: true });
  const tidy = async () => {
    if (kept === undefined) await rm(own, { recursive: true, force: true });
  };
  for (let attempt = 1; ; attempt++) {
    const chosen = port || (await freePort());
    try {
      const server = await program.start(own, chosen, kept !== undefined);
      return {
        pid: server.pid,
        ended: server.ended,
        url: `mongodb://127.0.0.1:${chosen}`,
        choice: program.choice,
        kill: (signal) => server.kill(signal),
        stop: () => server.stop().finally(tidy),
      };
    } catch (error) {
      // Somebody may have taken the port since it was found free.
      if (port || attempt === ATTEMPTS || (await isFree(chosen))) {
        await tidy();
        throw error;
      }
    }
  }
}

/** A directory stays with the kind of server that began it: stock stands there, which no journal has. */
async function kindIn(directory: string): Promise<Kind | undefined> {
  const names: string[] = await readdir(directory).catch(() => []);
  return names.includes('stand-in') ? 'stand-in' : names.includes('mongod') ? 'mongod' : undefined;
}

/** The first that there is: mongod on the PATH, one that was or can be downloaded, the stand-in built with Maven. */
export async function mongodbProgram(kind?: Kind): Promise<MongodbProgram> {
  const found =
    (kind === 'stand-in' ? undefined : ((await installedMongod()) ?? (await downloadedMongod()))) ??
    (kind === 'mongod' ? undefined : await standIn());
  if (found !== undefined) return found;
  const install = 'Install mongod 4.2 or newer (https://www.mongodb.com/try/download/community)';
  const java = 'Java 17 and Maven, with which a stand-in is built';
  if (kind === 'mongod') throw new Error(`The data directory was made by mongod, and there is none now. ${install}.`);
  if (kind === 'stand-in') throw new Error(`The data directory was made by the stand-in for MongoDB. Install ${java}.`);
  throw new Error(`There is no database. ${install}, or ${java}; or set MONGODB_URI to a database that runs.`);
}

async function installedMongod(): Promise<MongodbProgram | undefined> {
  const path = await programOnPath('mongod');
  if (path === undefined) return undefined;
  const version = /v(\d+)\.(\d+)\.\d+\S*/.exec(await outputOf(path, ['--version']));
  const [major, minor] = [Number(version?.[1]), Number(version?.[2])];
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) {
    return mongod(path, `mongod on the PATH (${version?.[0]})`);
  }
  say(`mongod on the PATH is ${version?.[0] ?? 'of an unknown version'}, but ${OLDEST.join('.')} is needed: not used`);
  return undefined;
}

/** One of mongodb-memory-server's, downloaded before; or now, where somebody is there to wait for it. */
async function downloadedMongod(): Promise<MongodbProgram | undefined> {
  const { DryMongoBinary } = await import('mongodb-memory-server-core/lib/util/DryMongoBinary.js');
  const options = await DryMongoBinary.generateOptions().catch(() => undefined);
  if (options === undefined) return undefined;
  const choice = `mongod ${options.version}, downloaded by mongodb-memory-server`;
  const path = await DryMongoBinary.locateBinary(options).catch(() => undefined);
  if (path !== undefined) return mongod(path, choice);
  const unattended = process.env.CI !== undefined || process.env.VITEST !== undefined;
  if (unattended || !(await isReachable(DOWNLOADS))) return undefined;
  say(`downloading mongod ${options.version}, once`);
  const { MongoBinary } = await import('mongodb-memory-server-core/lib/util/MongoBinary.js');
  try {
    return mongod(await MongoBinary.getPath(options), choice);
  } catch (error) {
    say(`mongod could not be downloaded: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

async function isReachable(address: string): Promise<boolean> {
  return fetch(address, { method: 'HEAD', signal: AbortSignal.timeout(REACHABLE_TIMEOUT_MS) }).then(
    () => true,
    () => false,
  );
}

function mongod(path: string, choice: string): MongodbProgram {
  return {
    choice,
    kind: 'mongod',
    start: async (directory, port) => {
      const data = join(directory, 'data');
      return startLeashed({
        name: 'mongod',
        directory,
        prepare: async () => {
          await mkdir(data, { recursive: true });
        },
        command: path,
        arguments: [
          '--dbpath',
          data,
          '--bind_ip',
          '127.0.0.1',
          '--port',
          String(port),
          '--wiredTigerCacheSizeGB',
          '0.25',
        ],
        isReady: () => accepts(port),
      });
    },
  };
}

/**
 * The stand-in of mongo-stand-in/, for machines with Java and Maven but without mongod. What mongodb.test.ts asks it
 * answers like MongoDB. It has no transactions, change streams, `explain` or updates by a pipeline; two bounds on an
 * array must hold for one element; and what it acknowledged outlives a crash of the process, not of the machine.
 */
async function standIn(): Promise<MongodbProgram | undefined> {
  const java = await programOnPath('java');
  if (java === undefined) return undefined;
  const built = await standInClasses().catch((error) => {
    if (error instanceof MavenMissingError) return undefined;
    throw error;
  });
  if (built === undefined) return undefined;
  const classPath = [join(built, 'mongo-stand-in.jar'), join(built, 'lib', '*')].join(delimiter);
  return {
    choice: 'a stand-in for MongoDB (mongo-java-server, on Java)',
    kind: 'stand-in',
    start: async (directory, port, keeps) => {
      const portFile = join(directory, 'port');
      return startLeashed({
        name: 'stand-in',
        directory,
        prepare: () => rm(portFile, { force: true }),
        command: java,
        arguments: [
          ...JAVA_OPTIONS,
          '-cp',
          classPath,
          'causeway.standin.StandIn',
          ...['--port-file', portFile, '--port', String(port)],
          ...(keeps ? ['--directory', directory] : []),
        ],
        isReady: () => exists(portFile),
      });
    },
  };
}

class MavenMissingError extends Error {}

/** The folder of the stand-in's classes: `mongo-stand-in.jar` and what it needs in `lib/`; built with Maven, once. */
export async function standInClasses(): Promise<string> {
  const maven = await programOnPath('mvn');
  return builtOnce(`mongo-stand-in-${await sourcesOf(STAND_IN)}`, (target) =>
    maven === undefined
      ? Promise.reject(new MavenMissingError('the stand-in for MongoDB is built with Maven'))
      : buildStandIn(maven, target),
  );
}

async function buildStandIn(maven: string, target: string): Promise<void> {
  say('building the stand-in for MongoDB, once, some seconds');
  await outputOf(maven, [
    ...['-q', '-B', '-f', join(STAND_IN, 'pom.xml'), `-DbuildDirectory=${target}`],
    ...[
      'package',
      'dependency:copy-dependencies',
      '-DincludeScope=runtime',
      `-DoutputDirectory=${join(target, 'lib')}`,
    ],
  ]);
}

/** A hash of the stand-in's sources: a change is built anew. */
async function sourcesOf(directory: string): Promise<string> {
  const names = (await readdir(directory, { recursive: true }))
    .filter((name) => /(^pom\.xml|\.java)$/.test(name))
    .sort();
  const hash = createHash('sha256');
  for (const name of names) hash.update(name).update(await readFile(join(directory, name)));
  return hash.digest('hex').slice(0, 12);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      answer(true);
    });
    socket.once('error', () => answer(false));
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
