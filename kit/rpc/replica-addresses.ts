import dns from 'node:dns';
import { isIP } from 'node:net';
import { experimental, Metadata, status } from '@grpc/grpc-js';

const SCHEME = 'replicas';
/** So soon it is known of a replica that is new, or gone without a word. */
const LOOKUP_MS = 2_000;

/**
 * Finds all addresses that a name stands for, and keeps looking. The library's own resolver looks again only when a
 * connection ends: replicas that came later would get nothing, and one that vanished with its machine be waited for.
 */
class ReplicaAddresses implements experimental.Resolver {
  readonly #hostname: string;
  readonly #port: number;
  readonly #tell: experimental.ResolverListener;
  #known = '';
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #lookAgain = false;
  #isOpen = false;

  constructor({ path }: experimental.GrpcUri, tell: experimental.ResolverListener) {
    const { hostname, port } = new URL(`http://${path}`);
    this.#hostname = hostname.replace(/^\[(.*)\]$/, '$1');
    this.#port = Number(port || 80);
    this.#tell = tell;
  }

  static getDefaultAuthority({ path }: experimental.GrpcUri): string {
    return path;
  }

  /** Asked for at first, and whenever a connection has ended. */
  updateResolution(): void {
    this.#isOpen = true;
    this.#lookAgain = true;
    this.#looking ??= this.#look();
  }

  destroy(): void {
    this.#isOpen = false;
    clearTimeout(this.#timer);
    this.#known = '';
  }

  async #look(): Promise<void> {
    while (this.#isOpen && this.#lookAgain) {
      this.#lookAgain = false;
      clearTimeout(this.#timer);
      await this.#lookUp();
    }
    this.#looking = undefined;
    if (!this.#isOpen || isIP(this.#hostname) !== 0) return;
    this.#timer = setTimeout(() => this.updateResolution(), LOOKUP_MS).unref();
  }

  async #lookUp(): Promise<void> {
    try {
      const found = await dns.promises.lookup(this.#hostname, { all: true });
      const hosts = found.map(({ address }) => address).toSorted();
      if (!this.#isOpen || hosts.join() === this.#known) return;
      this.#known = hosts.join();
      const endpoints = hosts.map((host) => ({ addresses: [{ host, port: this.#port }] }));
      this.#tell(experimental.statusOrFromValue(endpoints), {}, null, '');
    } catch (error) {
      // What was known may still be there, while nobody answers for its name.
      if (!this.#isOpen || this.#known !== '') return;
      const details = `${this.#hostname} is not known: ${error instanceof Error ? error.message : error}`;
      const failure = { code: status.UNAVAILABLE, details, metadata: new Metadata() };
      this.#tell(experimental.statusOrFromError(failure), {}, null, '');
    }
  }
}

experimental.registerResolver(SCHEME, ReplicaAddresses);

/** The target of a channel to all replicas of a service. @param url `http://host:port`. */
export function replicasAt(url: string): string {
  return `${SCHEME}:///${new URL(url).host}`;
}
