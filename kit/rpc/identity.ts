import {
  createRemoteJWKSet,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
  SignJWT,
} from 'jose';
import { LRUCache } from 'lru-cache';
import { CallError, UnavailableError } from '../errors.ts';
import type { Call, Caller } from './call.ts';

/** The key that everybody knows. Good for trying things on one machine; production refuses to start with it. */
export const DEVELOPMENT_KEY = 'causeway-development-key-known-to-everybody';

const CACHED_TOKENS = 10_000;
/** A subject stands in event headers, so it has to be printable and bounded. */
const SUBJECT = /^[\x21-\x7e]{1,128}$/;

/** Callers are told within 2 s that a part of the platform is away, and this is one. */
const KEYS_TIMEOUT_MS = 1_500;
/** A token with a key that is not known makes us ask for the keys again, but not more often than this. */
const KEYS_COOLDOWN_MS = 10_000;

/** What a token has to say of where it comes from and whom it is for. */
export type TokenOrigin = {
  issuer?: string | undefined;
  audience?: string | undefined;
};

export type IdentitySettings = TokenOrigin & {
  /** Where the public keys of the token issuer are. */
  jwksUrl?: string | undefined;
  /** A shared secret (HS256). */
  secret?: string | undefined;
};

/** Checks tokens. What it has checked once it knows until the token expires. */
export class Identity {
  readonly #verify: (token: string) => Promise<JWTPayload>;
  readonly #known = new LRUCache<string, { caller: Caller; expiresAt: number }>({ max: CACHED_TOKENS });

  constructor({ jwksUrl, secret, issuer, audience }: IdentitySettings) {
    // A token without an end would be good for ever, whoever has found it.
    const options: JWTVerifyOptions = {
      requiredClaims: ['exp'],
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience }),
    };
    if (jwksUrl !== undefined) {
      const keys = remoteKeys(jwksUrl);
      this.#verify = async (token) => (await jwtVerify(token, keys, options)).payload;
    } else {
      const key = new TextEncoder().encode(secret ?? DEVELOPMENT_KEY);
      this.#verify = async (token) => (await jwtVerify(token, key, { ...options, algorithms: ['HS256'] })).payload;
    }
  }

  /**
   * Who a token, as the header `authorization` holds it, speaks for.
   * @throws CallError UNAUTHENTICATED with the reason TOKEN_MISSING, TOKEN_EXPIRED or TOKEN_INVALID.
   * @throws UnavailableError where the keys can't be had.
   */
  authenticate(authorization: string | undefined): Caller | Promise<Caller> {
    const token = tokenOf(authorization);
    const known = this.#known.get(token);
    if (known !== undefined && known.expiresAt > Date.now()) return known.caller;
    return this.#check(token);
  }

  async #check(token: string): Promise<Caller> {
    const payload = await this.#verify(token).catch((error) => {
      const expired = error instanceof errors.JWTExpired;
      if (!expired && !(error instanceof errors.JOSEError) && !(error instanceof TypeError)) throw error;
      throw unauthenticated(
        expired ? 'TOKEN_EXPIRED' : 'TOKEN_INVALID',
        expired ? 'the token has expired' : 'the token is not valid',
      );
    });
    const caller = callerOf(payload);
    this.#known.set(token, { caller, expiresAt: (payload.exp ?? 0) * 1_000 });
    return caller;
  }
}

/** The issuer's public keys. Nothing is wrong with a token because they can't be had. */
function remoteKeys(jwksUrl: string): JWTVerifyGetKey {
  const keys = createRemoteJWKSet(new URL(jwksUrl), {
    timeoutDuration: KEYS_TIMEOUT_MS,
    cooldownDuration: KEYS_COOLDOWN_MS,
  });
  return async (header, token) => {
    try {
      return await keys(header, token);
    } catch (error) {
      if (isOfToken(error)) throw error;
      throw new UnavailableError('the keys that tokens are checked with can not be had', { cause: error });
    }
  };
}

/** Whether the keys were there, and none of them is the token's. HS256 is no algorithm of public keys. */
function isOfToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}

function tokenOf(authorization: string | undefined): string {
  const [, token] = /^bearer +(\S+)$/i.exec(authorization ?? '') ?? [];
  if (token === undefined) throw unauthenticated('TOKEN_MISSING', 'a token is needed: authorization: Bearer TOKEN');
  return token;
}

function callerOf({ sub, role }: JWTPayload): Caller {
  if (sub === undefined || !SUBJECT.test(sub)) {
    throw unauthenticated('TOKEN_INVALID', 'the subject of the token is missing, or not 1 to 128 printable characters');
  }
  if (role !== 'customer' && role !== 'operator') {
    throw unauthenticated('TOKEN_INVALID', 'the role of the token is neither customer nor operator');
  }
  return { subject: sub, role };
}

function unauthenticated(reason: string, message: string): CallError {
  return new CallError('UNAUTHENTICATED', message, { reason });
}

/** @throws CallError PERMISSION_DENIED where the caller has another role. */
export function requireRole({ caller }: Call, role: Caller['role']): void {
  if (caller.role !== role) {
    throw new CallError('PERMISSION_DENIED', `this takes the role ${role}`, {
      reason: 'ROLE_MISSING',
      metadata: { role },
    });
  }
}

/** Signs a token. @param expires such as `30d`. */
export function signToken(
  { subject, role }: Caller,
  secret: string,
  expires: string,
  { issuer, audience }: TokenOrigin = {},
): Promise<string> {
  const token = new SignJWT({ role })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(subject)
    .setIssuedAt()
    .setExpirationTime(expires);
  if (issuer !== undefined) token.setIssuer(issuer);
  if (audience !== undefined) token.setAudience(audience);
  return token.sign(new TextEncoder().encode(secret));
}
