import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromSeed } from '@nats-io/nkeys';
import { describe, expect, test } from 'vitest';
import { platformSettings } from '#kit/platform-settings.ts';
import { readSettings } from '#kit/settings.ts';
import { ownDirectory } from '#kit/testing/servers.ts';
import { services } from '../services.ts';
import { writeSecretFiles } from './secret-files.ts';
import { runCauseway } from './testing/run.ts';

const two = { services: ['orders', 'gift-cards'], mongodbUsers: true };

const text = (directory: string, path: string) => readFile(join(directory, path), 'utf8');

async function all(directory: string): Promise<Record<string, string>> {
  const files = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
  return Object.fromEntries(
    await Promise.all(paths.map(async (path) => [path, await readFile(path, 'utf8')] as const)),
  );
}

describe('secrets', () => {
  test('writes them for every service, and the second time nothing, and says so', async () => {
    const directory = join(await ownDirectory(), 'secrets');
    const first = await runCauseway(['secrets', directory]);
    const before = await all(directory);
    const second = await runCauseway(['secrets', directory]);

    expect(first.status).toBe(0);
    for (const service of Object.keys(services)) expect(first.stdout).toContain(`${service}/nats.nk\n`);
    expect(second).toMatchObject({
      status: 0,
      stdout: '',
      stderr: `${directory} has everything: nothing was written\n`,
    });
    expect(await all(directory)).toEqual(before);
  });

  test('are for their owner only', async () => {
    const directory = join(await ownDirectory(), 'secrets');
    await writeSecretFiles(directory, two);

    const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
    expect(await modeOf(directory)).toBe('700');
    for (const file of await readdir(directory, { recursive: true, withFileTypes: true })) {
      expect(await modeOf(join(file.parentPath, file.name)), file.name).toBe(file.isFile() ? '600' : '700');
    }
  });

  test('are what the settings take, each its own', async () => {
    const directory = await ownDirectory();
    await writeSecretFiles(directory, two);

    const settings = readSettings(platformSettings, {
      PERSONAL_DATA_KEY_FILE: join(directory, 'keys/personal-data-key'),
      AUTH_SECRET_FILE: join(directory, 'keys/auth-secret'),
      MONGODB_URI_FILE: join(directory, 'gift-cards/mongodb-uri'),
    });
    expect(settings.personalDataKey).toHaveLength(32);
    const password = await text(directory, 'mongodb/gift-cards-password');
    expect(settings.mongodbUri).toBe(
      `mongodb://gift-cards:${password}@mongodb:27017/causeway?authSource=causeway_gift-cards`,
    );
    const texts = Object.values(await all(directory));
    expect(new Set(texts).size).toBe(texts.length);
  });

  test('have the public key of each seed beside them, by the names that the broker asks for', async () => {
    const directory = await ownDirectory();
    await writeSecretFiles(directory, two);

    const publicKey = async (user: string) =>
      fromSeed(Buffer.from(await text(directory, `${user}/nats.nk`))).getPublicKey();
    expect(await text(directory, 'nats/nkeys.env')).toBe(
      `ORDERS_NKEY=${await publicKey('orders')}\n` +
        `GIFT_CARDS_NKEY=${await publicKey('gift-cards')}\n` +
        `OPERATOR_NKEY=${await publicKey('operator')}\n`,
    );
  });

  test('of a service that is new come to those that are there', async () => {
    const directory = await ownDirectory();
    await writeSecretFiles(directory, { ...two, services: ['orders'] });
    const seed = await text(directory, 'orders/nats.nk');
    const written = await writeSecretFiles(directory, two);

    expect(written.toSorted()).toEqual([
      'gift-cards/mongodb-uri',
      'gift-cards/nats.nk',
      'kustomization.yaml',
      'mongodb/gift-cards-password',
      'nats/nkeys.env',
    ]);
    expect(await text(directory, 'orders/nats.nk')).toBe(seed);
    expect(await text(directory, 'nats/nkeys.env')).toContain('GIFT_CARDS_NKEY=U');
  });

  test('have no users of the database where that knows none', async () => {
    const directory = await ownDirectory();
    await writeSecretFiles(directory, { ...two, mongodbUsers: false });

    expect(await text(directory, 'orders/mongodb-uri')).toBe('mongodb://mongodb:27017/causeway');
    expect(await readdir(directory)).not.toContain('mongodb');
  });

  test.each([
    ['is empty', '', 'is empty; remove it'],
    ['holds something else', 'SUVERYSECRET', 'is no seed of a user at the broker'],
  ])('are not written over where a file %s, and its text is not shown', async (_, found, said) => {
    const directory = await ownDirectory();
    await writeSecretFiles(directory, two);
    await writeFile(join(directory, 'orders/nats.nk'), found);
    await chmod(directory, 0o700);

    const again = await writeSecretFiles(directory, two).catch((error) => error.message);
    expect(again).toContain(`orders/nats.nk ${said}`);
    expect(again).not.toContain('SUVERYSECRET');
    expect(await text(directory, 'orders/nats.nk')).toBe(found);
  });
});
