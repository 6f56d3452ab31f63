import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { beforeAll, describe, expect, test } from 'vitest';
import { databaseName } from '#kit/database.ts';
import { atTheEnd, ownDirectory, sharedMongoUri } from '#kit/testing/servers.ts';
import { writeSecretFiles } from '../gateway/cli/secret-files.ts';
import { services } from '../gateway/services.ts';
import { bearer, testPlatform } from './platform.ts';

const all = Object.keys(services);

describe("the database's users", () => {
  let secrets: string;
  let made: Map<string, { pwd: string; roles: { role: string; db: string }[] }>;

  beforeAll(async () => {
    secrets = await ownDirectory();
    await writeSecretFiles(secrets, { services: all, mongodbUsers: true });
    // As a mounted Secret is: files beside links that begin with a dot.
    await mkdir(join(secrets, 'mongodb/..data'));
    made = new Map();
    await makeUsers();
  });

  /** Runs the script as mongosh does, with a server that keeps the users that it is told of. */
  async function makeUsers(): Promise<void> {
    const script = await readFile(new URL('../deploy/mongodb/users.js', import.meta.url), 'utf8');
    const database = (name: string) => ({
      getName: () => name,
      getSiblingDB: database,
      getUser: (user: string) => made.get(`${user}@${name}`) ?? null,
      createUser: ({ user, ...rest }: { user: string; pwd: string; roles: { role: string; db: string }[] }) => {
        if (made.has(`${user}@${name}`)) throw new Error(`${user} is there already`);
        made.set(`${user}@${name}`, rest);
      },
      updateUser: (user: string, rest: { pwd: string; roles: { role: string; db: string }[] }) => {
        if (!made.has(`${user}@${name}`)) throw new Error(`${user} is not there`);
        made.set(`${user}@${name}`, rest);
      },
    });
    runInNewContext(script, {
      db: database('admin'),
      print: () => {},
      process: { env: { CAUSEWAY_PASSWORDS: join(secrets, 'mongodb') } },
      require: createRequire(import.meta.url),
    });
  }

  test("are one for each service, which may read and write its service's database and no other", () => {
    expect([...made.keys()].sort()).toEqual(all.map((service) => `${service}@causeway_${service}`).sort());
    for (const service of all) {
      expect(made.get(`${service}@causeway_${service}`)?.roles).toEqual([
        { role: 'readWrite', db: `causeway_${service}` },
      ]);
    }
  });

  test.each(all)('%s is let in with the address that it is told', async (service) => {
    const address = new URL(await readFile(join(secrets, service, 'mongodb-uri'), 'utf8'));

    const own = databaseName(address.href, service);
    expect(address.searchParams.get('authSource')).toBe(own);
    expect(made.get(`${address.username}@${own}`)?.pwd).toBe(address.password);
  });

  test('have the password of the day after it is run again', async () => {
    await writeFile(join(secrets, 'mongodb/orders-password'), 'another\n');
    await makeUsers();

    expect(made.get('orders@causeway_orders')).toEqual({
      pwd: 'another',
      roles: [{ role: 'readWrite', db: 'causeway_orders' }],
    });
    expect(made.size).toBe(all.length);
  });

  test('are none without a password', async () => {
    await writeFile(join(secrets, 'mongodb/late-password'), '\n');

    await expect(makeUsers()).rejects.toThrow('late-password is empty');
    await rm(join(secrets, 'mongodb/late-password'));
  });
});

test('no service asks for another database than its own', async () => {
  const { uri, commands } = await overheard(sharedMongoUri());
  const { http } = await testPlatform({ mongodbUri: uri, environment: { CARRIER_DELIVERS_AFTER: '10ms' } });
  const call = async (method: string, body: object) => {
    const headers = { 'content-type': 'application/json', authorization: await bearer('ada') };
    const url = `${http}/causeway.orders.v1.OrderService/${method}`;
    return (await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).json();
  };

  const { orderId } = await call('PlaceOrder', {
    request_id: randomUUID(),
    lines: [{ sku: 'coffee-beans', quantity: 1 }],
    email: 'ada@example.com',
    ship_to: { name: 'Ada', line1: '1 Road', city: 'Galway', postal_code: 'H91', country_code: 'IE' },
    payment_method: 'pm_ok',
  });
  const statusNow = async () => (await call('GetOrder', { order_id: orderId })).order?.status;
  await expect.poll(statusNow).toBe('ORDER_STATUS_COMPLETED');

  const asked = commands().filter(({ database }) => database !== 'admin');
  expect(new Set(asked.map(({ service }) => service))).toEqual(new Set(all));
  expect(asked.filter(({ service, database }) => database !== databaseName(uri, service))).toEqual([]);
  // What a user is allowed without any role.
  const ofServer = commands().filter(({ database }) => database === 'admin');
  expect(
    new Set(ofServer.map(({ command }) => command)).difference(new Set(['hello', 'ismaster', 'endSessions'])),
  ).toEqual(new Set());
});

type Command = { service: string; database: string; command: string };

/** Stands before the database, and knows what each service, by the name that it gives itself, asks of which database. */
async function overheard(target: string): Promise<{ uri: string; commands(): Command[] }> {
  const { hostname, port, pathname } = new URL(target);
  const connections: Buffer[][] = [];
  const server = createServer((client) => {
    const sent: Buffer[] = [];
    connections.push(sent);
    const upstream = connect(Number(port), hostname);
    client.on('data', (bytes) => sent.push(bytes));
    client.on('error', () => upstream.destroy()).pipe(upstream);
    upstream.on('error', () => client.destroy()).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atTheEnd(async () => void server.close());
  return {
    uri: `mongodb://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    commands: () => connections.flatMap((sent) => commandsIn(Buffer.concat(sent))),
  };
}

const OP_MSG = 2013;

/** The commands of one connection, in MongoDB's wire protocol. */
function commandsIn(bytes: Buffer): Command[] {
  const text = bytes.toString('latin1');
  const service = stringOf(text, 'application\0....\x02name') ?? '';
  const found: Command[] = [];
  for (let at = 0; at + 16 <= bytes.length; at += bytes.readInt32LE(at)) {
    if (bytes.readInt32LE(at + 12) !== OP_MSG) continue;
    const message = text.slice(at, at + bytes.readInt32LE(at));
    // Behind the head, its flags and the kind of its first part stands a document, whose first field is the command.
    const command = message.slice(26, message.indexOf('\0', 26));
    found.push({ service, command, database: stringOf(message, '\x02\\$db') ?? '' });
  }
  return found;
}

/** The text of the first field that is called so. */
function stringOf(document: string, name: string): string | undefined {
  return new RegExp(`${name}\\0[^]{4}([^\\0]*)\\0`, 's').exec(document)?.[1];
}
