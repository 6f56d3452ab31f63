import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from 'jose';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { AccountService } from '#gen/causeway/testing/v1/account_pb.js';
import { silent } from '#kit/telemetry/logging.ts';
import { DEVELOPMENT_KEY, Identity, signToken, type TokenOrigin } from './identity.ts';
import { unlimited } from './limit.ts';
import { Pipeline } from './pipeline.ts';

const ada = { subject: 'ada', role: 'customer' } as const;

/** A key pair of an issuer of tokens. */
async function keyPair(algorithm: string, kid: string) {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk: JWK = { ...(await exportJWK(publicKey)), kid, alg: algorithm };
  return { algorithm, kid, publicKey, privateKey, jwk };
}

function token({ algorithm, kid }: { algorithm: string; kid: string }, key: CryptoKey | Uint8Array): Promise<string> {
  return new SignJWT({ role: 'customer' })
    .setProtectedHeader({ alg: algorithm, kid })
    .setSubject('ada')
    .setExpirationTime('1h')
    .sign(key);
}

/** A server of keys, which answers as its listener does at the time. */
async function keyServer(listener: RequestListener) {
  const server = createServer((request, response) => answers(request, response)).listen(0, '127.0.0.1');
  let answers = listener;
  await once(server, 'listening');
  const stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  onTestFinished(async () => void (await stop()));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  const now = (listener: RequestListener) => {
    answers = listener;
  };
  return { url, stop, now };
}

/** Answers with these keys. */
function keys(...jwks: JWK[]): RequestListener {
  return (_, response) => response.end(JSON.stringify({ keys: jwks }));
}

afterEach(() => void vi.useRealTimers());

describe('tokens that are checked with the keys of AUTH_JWKS_URL', () => {
  test.each(['RS256', 'ES256'])('signed by %s are good', async (algorithm) => {
    const issuer = await keyPair(algorithm, 'first');
    const { url } = await keyServer(keys(issuer.jwk));

    const identity = new Identity({ jwksUrl: url });

    expect(await identity.authenticate(`Bearer ${await token(issuer, issuer.privateKey)}`)).toEqual(ada);
  });

  test('signed with a key that came later are good, and so are those of the key before', async () => {
    const [first, second] = [await keyPair('ES256', 'first'), await keyPair('ES256', 'second')];
    const server = await keyServer(keys(first.jwk));
    const identity = new Identity({ jwksUrl: server.url });
    await identity.authenticate(`Bearer ${await token(first, first.privateKey)}`);

    server.now(keys(first.jwk, second.jwk));
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 15_000 });

    for (const each of [second, first]) {
      expect(await identity.authenticate(`Bearer ${await token(each, each.privateKey)}`)).toEqual(ada);
    }
  });

  test('signed with another key, or by the public key as if it were a secret, are invalid', async () => {
    const [issuer, stranger] = [await keyPair('RS256', 'first'), await keyPair('RS256', 'first')];
    const { url } = await keyServer(keys(issuer.jwk));
    const identity = new Identity({ jwksUrl: url });
    const publicKey = new TextEncoder().encode(await exportSPKI(issuer.publicKey));

    for (const forged of [
      await token(stranger, stranger.privateKey),
      await token({ algorithm: 'HS256', kid: 'first' }, publicKey),
      await token({ algorithm: 'RS256', kid: 'unknown' }, stranger.privateKey),
      await signToken(ada, DEVELOPMENT_KEY, '1h'),
    ]) {
      await expect(identity.authenticate(`Bearer ${forged}`)).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
        details: { reason: 'TOKEN_INVALID' },
      });
    }
  });

  const faults: Record<string, RequestListener | 'away'> = {
    'is away': 'away',
    'answers 500': (_, response) => response.writeHead(500).end(),
    'answers with a page': (_, response) => response.end('<html>'),
    'answers with something else': (_, response) => response.end('{"keys": 5}'),
    'does not answer': () => {},
  };

  test.each(Object.entries(faults))('are neither good nor bad while the server of keys %s', async (_, fault) => {
    const issuer = await keyPair('ES256', 'first');
    const server = await keyServer(fault === 'away' ? keys() : fault);
    if (fault === 'away') await server.stop();
    const called = call({ jwksUrl: server.url }, await token(issuer, issuer.privateKey));

    // On a quiet machine within 2 s; the library by itself waits for 5.
    const told = await Promise.race([called, delay(4_500, 'nothing for too long', { ref: false })]);

    expect(told).toMatchObject({
      code: 'UNAVAILABLE',
      details: { reason: 'DEPENDENCY_AWAY', retryAfterMs: 1_000 },
    });
  });

  test.each(['a call', 'a stream'] as const)(
    'do not keep %s beyond its deadline while the server of keys does not answer',
    async (kind) => {
      const issuer = await keyPair('ES256', 'first');
      const asked = Promise.withResolvers<void>();
      const server = await keyServer(() => asked.resolve());
      const deadline = new AbortController();
      const called = call({ jwksUrl: server.url }, await token(issuer, issuer.privateKey), deadline.signal, kind);
      await asked.promise;

      deadline.abort();

      expect(await called).toMatchObject({ code: 'CANCELLED' });
    },
  );
});

describe('a token', () => {
  const secret = 's'.repeat(32);
  const demanded = { issuer: 'https://id.example.org', audience: 'causeway' };

  test.each<[string, TokenOrigin, boolean]>([
    ['of the issuer and for the audience that are asked for is good', demanded, true],
    ['of another issuer is invalid', { ...demanded, issuer: 'https://other.example.org' }, false],
    ['for another audience is invalid', { ...demanded, audience: 'shop' }, false],
    ['that names neither is invalid', {}, false],
  ])('%s', async (_, origin, good) => {
    const identity = new Identity({ secret, ...demanded });

    const checked = identity.authenticate(`Bearer ${await signToken(ada, secret, '1h', origin)}`);

    await (good
      ? expect(checked).resolves.toEqual(ada)
      : expect(checked).rejects.toMatchObject({ details: { reason: 'TOKEN_INVALID' } }));
  });

  test('that was good is not once it has expired', async () => {
    const identity = new Identity({ secret });
    const authorization = `Bearer ${await signToken(ada, secret, '60s')}`;
    expect(await identity.authenticate(authorization)).toEqual(ada);

    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });

    await expect(identity.authenticate(authorization)).rejects.toMatchObject({ details: { reason: 'TOKEN_EXPIRED' } });
  });
});

/** What a caller with this token is told, or what it gets. */
async function call(
  settings: ConstructorParameters<typeof Identity>[0],
  token: string,
  signal: AbortSignal = new AbortController().signal,
  kind: 'a call' | 'a stream' = 'a call',
): Promise<unknown> {
  const pipeline = new Pipeline({ identity: new Identity(settings), limit: unlimited, logger: silent });
  const header = (name: string) => (name === 'authorization' ? `Bearer ${token}` : undefined);
  const incoming = { header, correlationId: 'checkout-1', signal, deadline: undefined };
  try {
    if (kind === 'a call') return await pipeline.unary(AccountService.method.deposit, incoming, async () => 'done');
    return await Array.fromAsync(
      pipeline.stream(AccountService.method.follow, incoming, async function* () {
        yield 'done';
      }),
    );
  } catch (error) {
    return error;
  }
}
