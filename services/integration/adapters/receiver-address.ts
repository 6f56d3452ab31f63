import { lookup as systemLookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { invalid, UnavailableError } from '#kit/errors.ts';

/** An address that webhooks must not go to. */
export class ForbiddenAddressError extends Error {
  override name = 'ForbiddenAddressError';
}

/** What is not the public internet: IANA's special-purpose registries (RFC 6890), multicast, and ways around to IPv4. */
const notPublic = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  notPublic.addSubnet(network, prefix, 'ipv4');
}
for (const [network, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  notPublic.addSubnet(network, prefix, 'ipv6');
}
/** All of IPv6 that is given out to the public. */
const publicIpv6 = new BlockList();
publicIpv6.addSubnet('2000::', 3, 'ipv6');

function isPublic(address: string): boolean {
  if (isIP(address) === 4) return !notPublic.check(address, 'ipv4');
  return publicIpv6.check(address, 'ipv6') && !notPublic.check(address, 'ipv6');
}

/** Finds the addresses of a host, as `dns.lookup` does. */
export type Lookup = typeof systemLookup;

/**
 * Where webhooks may go. Who can have us call any address could have us call what only we can reach, so in production
 * only https and only public addresses are called: checked for each connection, on the very address that is connected
 * to, because a host's addresses may change after it was looked at.
 */
export class ReceiverAddresses {
  readonly #mayBePrivate: boolean;
  readonly #lookup: Lookup;

  /** @param mayBePrivate also http, loopback and private networks: for development. */
  constructor(mayBePrivate: boolean, lookup: Lookup = systemLookup) {
    this.#mayBePrivate = mayBePrivate;
    this.#lookup = lookup;
  }

  /**
   * Whether an endpoint may be made of this.
   * @throws CallError INVALID_ARGUMENT where it may not; UnavailableError where its host can't be looked up now.
   */
  async requireGood(text: string): Promise<void> {
    if (!URL.canParse(text)) throw invalid('url', 'is not an absolute URL');
    const url = new URL(text);
    if (url.protocol !== 'https:' && url.protocol !== 'http:')
      throw invalid('url', 'has to begin with https:// or http://');
    if (url.username !== '' || url.password !== '') throw invalid('url', 'must not have a user or a password in it');
    if (this.#mayBePrivate) return;
    try {
      this.requireAllowed(url);
      const host = hostOf(url);
      if (isIP(host) === 0) await this.#resolve(host);
    } catch (error) {
      if (error instanceof ForbiddenAddressError) throw invalid('url', error.message);
      if (codeOf(error) === 'ENOTFOUND') throw invalid('url', 'its host is not known');
      throw new UnavailableError(`the host of the URL can not be looked up now: ${codeOf(error)}`, { cause: error });
    }
  }

  /** What can be said without looking its host up. @throws ForbiddenAddressError */
  requireAllowed(url: URL): void {
    if (this.#mayBePrivate) return;
    if (url.protocol !== 'https:') throw new ForbiddenAddressError('has to begin with https://');
    const host = hostOf(url);
    // An address is connected to without a look-up.
    if (isIP(host) !== 0 && !isPublic(host)) throw notPublicError();
  }

  /** For sockets: finds a host's addresses, and fails where one of them is not allowed. */
  readonly lookup: LookupFunction = (host, options, callback) => {
    this.#lookup(host, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, []);
      if (!this.#mayBePrivate && !found.every(({ address }) => isPublic(address)))
        return callback(notPublicError(), []);
      const [first] = found;
      if (options.all === true || first === undefined) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };

  #resolve(host: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.lookup(host, { all: true }, (error) => (error === null ? resolve() : reject(error)));
    });
  }
}

function notPublicError(): ForbiddenAddressError {
  return new ForbiddenAddressError('has to lead to a public address');
}

/** IPv6 addresses stand in brackets in a URL. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
