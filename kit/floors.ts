import { JetStreamApiError } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import type { Broker } from './broker.ts';
import type { Logger } from './telemetry/logging.ts';

export const FLOORS_BUCKET = 'consumer-floors';
/** What is handled and not noted yet comes again where the broker and the process that handled it die together. */
const NOTE_MS = 1_000;

/** Sequences up to which everything is handled, by consumer without the partition. */
type Entry = Record<string, number>;

/**
 * How far each consumer of a service has come, noted once a second for all consumers of a partition together. The
 * broker keeps the same in memory alone: to write it to disk after each acknowledgement took two thirds of its time.
 * So a consumer that went with the broker is made anew from here.
 */
export class Floors {
  readonly #bucket: KV;
  readonly #service: string;
  readonly #entries = new Map<number, Entry>();
  readonly #revisions = new Map<number, number>();
  readonly #changed = new Set<number>();
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  private constructor(bucket: KV, service: string, logger: Logger) {
    this.#bucket = bucket;
    this.#service = service;
    this.#logger = logger;
  }

  /** One for each connection: the consumers of a service share it. */
  static of(broker: Broker, service: string, logger: Logger): Promise<Floors> {
    const opened = floorsOf.get(broker) ?? Floors.#open(broker, service, logger);
    floorsOf.set(broker, opened);
    opened.catch(() => floorsOf.delete(broker));
    return opened;
  }

  static async #open(broker: Broker, service: string, logger: Logger): Promise<Floors> {
    const bucket = await new Kvm(broker.js).create(FLOORS_BUCKET, {
      history: 1,
      replicas: broker.replicas,
      allow_direct: false,
    });
    return new Floors(bucket, service, logger);
  }

  /** What is known of a consumer's partition; undefined: nothing. Another process may have noted it. */
  async read(consumer: string, partition: number): Promise<number | undefined> {
    await this.#refresh(partition);
    return this.#entries.get(partition)?.[consumer];
  }

  /** Everything up to the sequence is handled. Is on disk within a second or so. */
  note(consumer: string, partition: number, floor: number): void {
    if (!this.#merge(partition, { [consumer]: floor })) return;
    this.#changed.add(partition);
    this.#timer ??= setTimeout(() => void this.write().catch(() => {}), NOTE_MS).unref();
  }

  /** Writes what was noted; resolves when all of it is on disk. */
  async write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.catch(() => {}).then(() => this.#writeChanged());
    await this.#writing;
  }

  async #writeChanged(): Promise<void> {
    for (const partition of [...this.#changed]) {
      this.#changed.delete(partition);
      try {
        await this.#put(partition);
      } catch (error) {
        this.#changed.add(partition);
        this.#timer ??= setTimeout(() => void this.write().catch(() => {}), NOTE_MS).unref();
        this.#logger.debug({ err: error, service: this.#service, partition }, 'how far consumers are is noted later');
        throw error;
      }
    }
  }

  /** Whoever has noted something meanwhile, such as a former owner, is not written over. */
  async #put(partition: number): Promise<void> {
    const put = () =>
      this.#bucket.put(this.#key(partition), JSON.stringify(this.#entries.get(partition) ?? {}), {
        previousSeq: this.#revisions.get(partition) ?? 0,
      });
    try {
      this.#revisions.set(partition, await put());
    } catch (error) {
      if (!isConflict(error)) throw error;
      await this.#refresh(partition);
      this.#revisions.set(partition, await put());
    }
  }

  async #refresh(partition: number): Promise<void> {
    const found = await this.#bucket.get(this.#key(partition));
    if (found === null) return;
    this.#revisions.set(partition, found.revision);
    if (found.operation === 'PUT') this.#merge(partition, found.json<Entry>());
  }

  /** Floors only rise. Answers whether one did. */
  #merge(partition: number, floors: Entry): boolean {
    const entry = this.#entries.get(partition) ?? {};
    this.#entries.set(partition, entry);
    let hasRisen = false;
    for (const [consumer, floor] of Object.entries(floors)) {
      if (floor <= (entry[consumer] ?? -1)) continue;
      entry[consumer] = floor;
      hasRisen = true;
    }
    return hasRisen;
  }

  #key(partition: number): string {
    return `${this.#service}.${partition}`;
  }
}

/** The server's code (nats-server, errors.json) for: somebody else has written it. */
function isConflict(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === 10071;
}

const floorsOf = new WeakMap<Broker, Promise<Floors>>();
