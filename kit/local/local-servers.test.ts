import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { jetstream, jetstreamManager, RetentionPolicy } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { MongoClient } from 'mongodb';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ownDirectory } from '#kit/testing/servers.ts';
import { mongodbProgram, startMongodb } from './mongodb.ts';
import { natsProgram, startNats } from './nats.ts';
import type { LocalServer } from './server.ts';

const ENDED_MS = 15_000;

/** Both kinds of server, how something is put into one, and how much of it is there. */
const kinds = [
  {
    name: 'nats-server',
    start: (directory: string, port?: number) => startNats({ directory, ...(port === undefined ? {} : { port }) }),
    startFresh: (directory: string) => startNats({ directory, fresh: true }),
    starter: `(await import('#kit/local/nats.ts')).startNats`,
    put: (url: string, ids: string[]) =>
      withBroker(url, async (connection) => {
        const manager = await jetstreamManager(connection);
        await manager.streams.add({ name: 'THINGS', subjects: ['things.>'], retention: RetentionPolicy.Limits });
        for (const id of ids) await jetstream(connection).publish(`things.${id}`, id);
      }),
    count: (url: string) =>
      withBroker(url, async (connection) => {
        const info = await (await jetstreamManager(connection)).streams.info('THINGS');
        return info.state.messages;
      }),
  },
  {
    name: 'MongoDB',
    start: (directory: string, port?: number) => startMongodb({ directory, ...(port === undefined ? {} : { port }) }),
    startFresh: (directory: string) => startMongodb({ directory, fresh: true }),
    starter: `(await import('#kit/local/mongodb.ts')).startMongodb`,
    put: (url: string, ids: string[]) =>
      withDatabase(url, async (db) => {
        await db.collection('things').createIndex({ name: 1 });
        for (const id of ids) await db.collection('things').insertOne({ name: id });
      }),
    count: (url: string) => withDatabase(url, (db) => db.collection('things').countDocuments()),
  },
];

describe.each(kinds)('$name', ({ start, startFresh, starter, put, count }) => {
  test('has what it acknowledged after a crash, on the same port and directory', async () => {
    const directory = await ownDirectory();
    const server = await started(start(directory));
    await put(server.url, ['a', 'b', 'c']);

    await server.kill();
    expect(isAlive(server.pid)).toBe(false);
    const again = await started(start(directory, Number(new URL(server.url).port)));

    expect(again.url).toBe(server.url);
    expect(await count(again.url)).toBe(3);
  });

  test('ends when its owner is killed by -9, and its data can be read by the next owner at once', async () => {
    const directory = await ownDirectory();
    const owner = await startOwner(starter, directory);
    await put(owner.url, ['a', 'b']);

    owner.process.kill('SIGKILL');
    await once(owner.process, 'exit');
    const next = await started(start(directory));

    await expect.poll(() => isAlive(owner.pid), { timeout: ENDED_MS }).toBe(false);
    expect(await count(next.url)).toBe(2);
  });

  test('ends when its owner ends without having stopped it', async () => {
    const owner = await startOwner(starter, await ownDirectory());

    owner.process.kill('SIGTERM');

    await expect.poll(() => isAlive(owner.pid), { timeout: ENDED_MS }).toBe(false);
  });

  test("does not get the terminal's Ctrl-C, so its owner can drain first", async () => {
    const owner = await startOwner(starter, await ownDirectory());
    await put(owner.url, ['a']);
    const interrupted = once(createInterface(owner.process.stdout as NodeJS.ReadableStream), 'line');

    process.kill(-Number(owner.process.pid), 'SIGINT');
    await interrupted;

    expect(await count(owner.url)).toBe(1);
  });

  test('is not started on a directory that another one has, be it for long or at the same moment', async () => {
    const directory = await ownDirectory();

    const both = await Promise.allSettled([start(directory), start(directory)]);

    const servers = both.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    for (const server of servers) onTestFinished(() => server.kill());
    expect(servers).toHaveLength(1);
    await expect(start(directory)).rejects.toThrow(`process ${process.pid} runs its server ${servers[0]?.pid}`);
  });

  test('begins anew where it is asked to, also right after the owner of an earlier one was killed', async () => {
    const directory = await ownDirectory();
    const owner = await startOwner(starter, directory);
    await put(owner.url, ['a', 'b']);

    owner.process.kill('SIGKILL');
    await once(owner.process, 'exit');
    const next = await started(startFresh(directory));
    await put(next.url, ['c']);

    expect(await count(next.url)).toBe(1);
  });

  test('does not begin anew where another one runs, and leaves what that one has', async () => {
    const directory = await ownDirectory();
    const server = await started(start(directory));
    await put(server.url, ['a', 'b']);

    await expect(startFresh(directory)).rejects.toThrow(`process ${process.pid} runs its server ${server.pid}`);

    expect(await count(server.url)).toBe(2);
    await server.stop();
    expect(await count((await started(start(directory))).url)).toBe(2);
  });

  test('tells what went wrong where it cannot start', async () => {
    const server = await started(start(await ownDirectory()));

    await expect(start(await ownDirectory(), Number(new URL(server.url).port))).rejects.toThrow(
      /did not start in .*address already in use/is,
    );
  });
});

test('a server that hangs is ended with its owner too', async () => {
  const owner = await startOwner(kinds[0]?.starter ?? '', await ownDirectory());
  process.kill(owner.pid, 'SIGSTOP');

  owner.process.kill('SIGKILL');

  await expect.poll(() => isAlive(owner.pid), { timeout: ENDED_MS }).toBe(false);
});

test('nothing is thrown away before the earlier server has ended: it may still write', async () => {
  const directory = await ownDirectory();
  const owner = await startOwner(kinds[0]?.starter ?? '', directory);
  process.kill(owner.pid, 'SIGSTOP');
  owner.process.kill('SIGKILL');
  await once(owner.process, 'exit');

  await started(startNats({ directory, fresh: true }));

  // Ended, if not yet taken note of by whoever is its parent now.
  const status = await readFile(`/proc/${owner.pid}/status`, 'utf8').catch(() => 'State: gone');
  expect(status).toMatch(/^State:\s+(Z|gone)/m);
});

test('a pid file that names a process of somebody else is no obstacle', async () => {
  const directory = await ownDirectory();
  await writeFile(join(directory, 'nats-server.pid'), `${process.pid} 1\n`);

  const server = await started(startNats({ directory }));

  expect(await readFile(join(directory, 'nats-server.pid'), 'utf8')).toBe(`${server.pid} ${process.pid}\n`);
});

describe('the choice of a server', () => {
  test('a nats-server on the PATH that cannot reset consumers is not used', async () => {
    const old = await pathWith('nats-server', 'nats-server: v2.10.29');
    await expect(onPath(old, natsProgram)).rejects.toThrow('Install nats-server 2.14 or newer');

    const recent = await pathWith('nats-server', 'nats-server: v2.15.0-RC.1');
    expect(await onPath(recent, natsProgram)).toEqual({
      path: join(recent, 'nats-server'),
      choice: 'nats-server on the PATH (v2.15.0-RC.1)',
    });
  });

  test('a mongod on the PATH comes first, unless the driver would not talk to it', async () => {
    const recent = await pathWith('mongod', 'db version v8.0.4');
    expect(await onPath(recent, mongodbProgram)).toMatchObject({
      kind: 'mongod',
      choice: 'mongod on the PATH (v8.0.4)',
    });

    const old = await pathWith('mongod', 'db version v4.0.28');
    await expect(onPath(old, mongodbProgram)).rejects.toThrow('Install mongod 4.2 or newer');
  });

  test('a directory stays with the kind of database that began it', async () => {
    const recent = await pathWith('mongod', 'db version v8.0.4');

    await expect(onPath(recent, () => mongodbProgram('stand-in'))).rejects.toThrow('was made by the stand-in');
    await expect(onPath(await ownDirectory(), () => mongodbProgram('mongod'))).rejects.toThrow('was made by mongod');
  });
});

async function started(starting: Promise<LocalServer>): Promise<LocalServer> {
  const server = await starting;
  onTestFinished(() => server.kill());
  return server;
}

/** A process that starts a server and then lives until it is ended; it says when it gets SIGINT, and stays. */
async function startOwner(
  starter: string,
  directory: string,
): Promise<{ process: ChildProcess; url: string; pid: number }> {
  const script = `
    const { url, pid } = await ${starter}({ directory: ${JSON.stringify(directory)} });
    process.on('SIGINT', () => console.log('interrupted'));
    setInterval(() => {}, 60_000);
    console.log(JSON.stringify({ url, pid }));
  `;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  onTestFinished(() => {
    owner.kill('SIGKILL');
  });
  const [line] = await once(createInterface(owner.stdout), 'line');
  return { process: owner, ...JSON.parse(line) };
}

/** A directory for the PATH with one program in it, which only says its version. */
async function pathWith(program: string, says: string): Promise<string> {
  const directory = await ownDirectory();
  await writeFile(join(directory, program), `#!/bin/sh\necho '${says}'\n`);
  await chmod(join(directory, program), 0o755);
  return directory;
}

async function onPath<Result>(path: string, ask: () => Promise<Result>): Promise<Result> {
  const before = process.env.PATH;
  process.env.PATH = path;
  try {
    return await ask();
  } finally {
    process.env.PATH = before;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function withBroker<Result>(url: string, use: (connection: NatsConnection) => Promise<Result>): Promise<Result> {
  const connection = await connect({ servers: url });
  return use(connection).finally(() => connection.close());
}

async function withDatabase<Result>(url: string, use: (db: ReturnType<MongoClient['db']>) => Promise<Result>) {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 5_000 });
  return use(client.db('test')).finally(() => client.close());
}
