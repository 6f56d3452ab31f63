import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createUser, fromSeed } from '@nats-io/nkeys';
import { nkeyVariable } from '#kit/permissions/users.ts';
import { StartError } from '#kit/process.ts';
import { secretKustomization } from './secret-kustomization.ts';

export type SecretFilesOptions = {
  /** Services of the platform. */
  services: readonly string[];
  /** Whether each service has a user of its own at the database; a stand-in for MongoDB knows none. */
  mongodbUsers: boolean;
};

/** Who runs the platform: the user of the CLI at the broker. */
const OPERATOR = 'operator';
const DATABASE = 'mongodb:27017/causeway';
const PUBLIC_KEYS = 'nats/nkeys.env';
/** Of the StatefulSet; each is told all of them. */
const BROKERS = ['nats-0.nats-headless:6222', 'nats-1.nats-headless:6222', 'nats-2.nats-headless:6222'];

/**
 * Writes what is missing of the platform's secrets, a file each, readable by their owner only. What is there stays.
 * Returns the paths of what was written, in the directory.
 * @throws StartError for a file that is there and is not what it has to be.
 */
export async function writeSecretFiles(
  directory: string,
  { services, mongodbUsers }: SecretFilesOptions,
): Promise<string[]> {
  const files = new SecretFiles(directory);
  await files.add('keys/personal-data-key', () => randomBytes(32).toString('base64'));
  await files.add('keys/auth-secret', passwordOf);
  await files.add('nats/cluster.env', clusterOf);
  if (mongodbUsers) await files.add('mongodb/root-password', passwordOf);
  const lines: string[] = [];
  for (const user of [...services, OPERATOR]) {
    const seed = await files.add(`${user}/nats.nk`, () => Buffer.from(createUser().getSeed()).toString());
    lines.push(`${nkeyVariable(user)}=${publicKeyOf(seed, join(directory, user, 'nats.nk'))}`);
  }
  for (const service of services) {
    const user = mongodbUsers ? `${service}:${await files.add(`mongodb/${service}-password`, passwordOf)}@` : '';
    const options = mongodbUsers ? `?authSource=causeway_${service}` : '';
    await files.add(`${service}/mongodb-uri`, () => `mongodb://${user}${DATABASE}${options}`);
  }
  await files.replace(PUBLIC_KEYS, `${lines.join('\n')}\n`);
  await files.replace('kustomization.yaml', secretKustomization(services, mongodbUsers));
  return files.written;
}

/** What brokers that keep streams together know each other by. */
function clusterOf(): string {
  // The broker reads what begins with a digit as a number.
  const password = `c${passwordOf()}`;
  const routes = BROKERS.map((host) => `nats://causeway:${password}@${host}`);
  return `CLUSTER_PASSWORD=${password}\nCLUSTER_ROUTES=[${routes.join(', ')}]\n`;
}

/** Safe in an address, in a shell and in a broker's configuration. */
function passwordOf(): string {
  return randomBytes(32).toString('hex');
}

function publicKeyOf(seed: string, path: string): string {
  try {
    const user = fromSeed(Buffer.from(seed.trim()));
    const key = user.getPublicKey();
    if (key.startsWith('U')) return key;
  } catch {
    // Said below; what the library says may show what it read.
  }
  throw new StartError(`${path} is no seed of a user at the broker (SU...); nothing is written over it`);
}

class SecretFiles {
  readonly #directory: string;
  readonly written: string[] = [];

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** What the file holds; it is made where there is none. A death on the way leaves it whole or not there. */
  async add(path: string, make: () => string): Promise<string> {
    const found = await textOf(join(this.#directory, path));
    if (found !== undefined) return found;
    const text = make();
    await this.#write(path, text, link);
    return text;
  }

  /** Has the file hold what follows from the others. */
  async replace(path: string, text: string): Promise<void> {
    if ((await textOf(join(this.#directory, path))) !== text) await this.#write(path, text, rename);
  }

  async #write(path: string, text: string, put: (from: string, to: string) => Promise<void>): Promise<void> {
    const target = join(this.#directory, path);
    for (const directory of [this.#directory, dirname(target)]) await ownDirectory(directory);
    const draft = join(dirname(target), `.${randomUUID()}`);
    try {
      await writeFile(draft, text, { mode: 0o600, flush: true });
      await put(draft, target);
    } finally {
      await rm(draft, { force: true });
    }
    this.written.push(path);
  }
}

async function ownDirectory(directory: string): Promise<void> {
  const made = await mkdir(directory, { recursive: true, mode: 0o700 });
  if (made !== undefined) await chmod(directory, 0o700);
}

/** What a file holds; undefined where there is none. */
async function textOf(path: string): Promise<string | undefined> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.trim() === '') throw new StartError(`${path} is empty; remove it, and it is made anew`);
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (error instanceof StartError) throw error;
    throw new StartError(`${path} can not be read (${(error as NodeJS.ErrnoException).code})`);
  }
}
