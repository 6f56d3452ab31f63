import { readFile } from 'node:fs/promises';
import { type Authenticator, credsAuthenticator, nkeyAuthenticator } from '@nats-io/transport-node';
import { SettingsError } from './settings.ts';

const SEED = /^SU[A-Z2-7]{56}$/;

/**
 * Who we are at the broker.
 * @param path of a file with a JWT and its seed (`.creds`), or with the seed of an nkey alone (`SU...`).
 * @throws SettingsError where it holds neither. What it holds is never said.
 */
export async function credentialsFrom(path: string): Promise<Authenticator> {
  const bad = (why: string) => new SettingsError(`NATS_CREDS: ${JSON.stringify(path)} ${why}`);
  const text = await readFile(path, 'utf8').catch(({ code }) => {
    throw bad(`can not be read (${code})`);
  });
  const seed = text.trim();
  const authenticator = SEED.test(seed)
    ? nkeyAuthenticator(new TextEncoder().encode(seed))
    : credsAuthenticator(new TextEncoder().encode(text));
  try {
    // The library would find out with each connection, and say what it read.
    authenticator('a nonce');
  } catch {
    throw bad('holds neither a JWT with its seed (.creds) nor the seed of a user (SU...)');
  }
  return authenticator;
}
