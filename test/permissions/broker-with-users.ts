import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node';
import { freePort } from '#kit/local/free-port.ts';
import { startLeashed } from '#kit/local/leash.ts';
import { natsProgram } from '#kit/local/nats.ts';
import { atTheEnd, ownDirectory } from '#kit/testing/servers.ts';
import { writeSecretFiles } from '../../gateway/cli/secret-files.ts';
import { services } from '../../gateway/services.ts';

const configured = new URL('../../deploy/nats/', import.meta.url).pathname;

/** A broker as it is deployed, with a user for each service. */
export type BrokerWithUsers = {
  url: string;
  /** What it has logged. */
  log(): Promise<string>;
  /** Path of a user's credentials. */
  credentialsOf(user: string): string;
  /** A connection of a user, closed when the test's file ends. */
  connectAs(user: string, name?: string): Promise<NatsConnection>;
};

/** Starts it with what stands in deploy/nats, on a free port and a directory of its own, with secrets made for it. */
export async function brokerWithUsers(): Promise<BrokerWithUsers> {
  const running: { kill(): Promise<void> }[] = [];
  const directory = await ownDirectory();
  atTheEnd(async () => {
    for (const server of running) await server.kill();
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  });
  const secrets = join(directory, 'secrets');
  await writeSecretFiles(secrets, { services: Object.keys(services), mongodbUsers: false });
  const port = await freePort();
  const file = join(directory, 'nats-server.conf');
  const { path } = await natsProgram();
  const server = await startLeashed({
    name: 'nats-server',
    directory,
    command: path,
    arguments: ['-c', file],
    prepare: () => configure(directory, secrets, port),
    isReady: async () => (await logOf(directory)).includes('Server is ready'),
  });
  running.push(server);
  const url = `nats://127.0.0.1:${port}`;
  const credentialsOf = (user: string) => join(secrets, user, 'nats.nk');
  return {
    url,
    log: () => logOf(directory),
    credentialsOf,
    connectAs: async (user, name = user) => {
      const authenticator = nkeyAuthenticator(await readFile(credentialsOf(user)));
      const connection = await connect({ servers: url, authenticator, inboxPrefix: `_INBOX.${name}`, timeout: 5_000 });
      atTheEnd(() => connection.close());
      return connection;
    },
  };
}

/** The files of the deployment, with this machine's places in them. */
async function configure(directory: string, secrets: string, port: number): Promise<void> {
  const variables = new Map([['POD_NAME', 'nats-0']]);
  for (const line of (await readFile(join(secrets, 'nats/nkeys.env'), 'utf8')).trim().split('\n')) {
    const [name = '', value = ''] = line.split('=');
    variables.set(name, value);
  }
  for (const name of ['nats-server.conf', 'permissions.conf']) {
    const text = (await readFile(join(configured, name), 'utf8'))
      .replaceAll(/\$([A-Z_]+)$/gm, (_, variable) => variables.get(variable) ?? `$${variable}`)
      .replace('port: 4222', `host: "127.0.0.1"\nport: ${port}`)
      .replace('http_port: 8222', '')
      .replace('store_dir: /data', `store_dir: ${JSON.stringify(directory)}`);
    await writeFile(join(directory, name), text);
  }
}

function logOf(directory: string): Promise<string> {
  return readFile(join(directory, 'nats-server.log'), 'utf8').catch(() => '');
}
