import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAccount, createUser } from '@nats-io/nkeys';
import { describe, expect, test } from 'vitest';
import { credentialsFrom } from './broker-credentials.ts';
import { SettingsError } from './settings.ts';
import { ownDirectory } from './testing/servers.ts';

const user = createUser();
const seed = Buffer.from(user.getSeed()).toString();

async function fileWith(text: string): Promise<string> {
  const path = join(await ownDirectory(), 'nats.nk');
  await writeFile(path, text);
  return path;
}

describe('credentials for the broker', () => {
  test.each([
    ['as it is', seed],
    ['on a line', `${seed}\n`],
  ])('may be a seed %s', async (_, text) => {
    const authenticator = await credentialsFrom(await fileWith(text));

    expect(authenticator('a nonce')).toMatchObject({ nkey: user.getPublicKey() });
  });

  test('may be a JWT with its seed', async () => {
    const creds = [
      '-----BEGIN NATS USER JWT-----',
      'a.jwt.of-it',
      '------END NATS USER JWT------',
      '-----BEGIN USER NKEY SEED-----',
      seed,
      '------END USER NKEY SEED------',
      '',
    ].join('\n');
    const authenticator = await credentialsFrom(await fileWith(creds));

    expect(authenticator('a nonce')).toMatchObject({ nkey: user.getPublicKey(), jwt: 'a.jwt.of-it' });
  });

  test.each([
    ['of nothing', ''],
    ['of another text', 'top secret'],
    ["of an account's seed", Buffer.from(createAccount().getSeed()).toString()],
    ['of a seed with a slip of the pen', `${seed.slice(0, 20)}${seed[20] === 'A' ? 'B' : 'A'}${seed.slice(21)}`],
  ])('are refused in a file %s, whose text is not shown', async (_, text) => {
    const path = await fileWith(text);
    const refused = await credentialsFrom(path).catch((error) => error);

    expect(refused).toBeInstanceOf(SettingsError);
    expect(refused.message).toContain(`NATS_CREDS: ${JSON.stringify(path)} holds neither`);
    if (text !== '') expect(`${refused.message}${refused.stack}${refused.cause}`).not.toContain(text);
  });

  test('are refused where there is no file', async () => {
    await expect(credentialsFrom('/nowhere/nats.nk')).rejects.toThrow(
      'NATS_CREDS: "/nowhere/nats.nk" can not be read (ENOENT)',
    );
  });
});
