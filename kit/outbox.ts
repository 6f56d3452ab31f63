import { setTimeout as delay } from 'node:timers/promises';
import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type Attributes, metrics, type ObservableResult, SpanKind } from '@opentelemetry/api';
import { type AnyBulkWriteOperation, Binary, type Collection, type Filter } from 'mongodb';
import { Batches } from './batches.ts';
import { type EventContext, eventHeaders, versionOf } from './event.ts';
import { type Append, ConflictError, eventId, type Journal } from './journal.ts';
import { isOutage } from './outages.ts';
import { subjectOf } from './partitions.ts';
import { eventTypesOf, type Publisher } from './service-descriptions.ts';
import type { Logger } from './telemetry/logging.ts';
import { contextFrom, inDatabaseSpan, inSpan, traceHeaders } from './telemetry/tracing.ts';

/** An event that was decided together with its document, and is to be published. */
export type OutboxEntry = Omit<EventContext, 'source' | 'key'> & { data: Binary };

/** A document that says events. Its id is their key. */
export type WithOutbox = {
  _id: string;
  /** What is not known to be published, by rising version. */
  outbox: OutboxEntry[];
  /** Of the latest event that is known to be published, in the journal; 0: none is. */
  sequence: number;
};

export type OutboxOptions = {
  /** How often it is looked for what a crash has left, at least. */
  sweepMs: number;
};

export type OutboxParts<Document extends WithOutbox> = {
  collection: Collection<Document>;
  journal: Journal;
  /** Of the events' subjects, and what is said of it. */
  aggregate: { name: string; events: Record<string, DescMessage> };
  logger: Logger;
};

const SWEEP_MS = 10_000;
/** To look through a large collection takes time: at most this share of it. */
const SWEEP_SHARE = 0.02;
const SWEPT_AT_ONCE = 256;
const CLEARED_AT_ONCE = 256;
/** Attempts to find an event's place behind another relay's. */
const MAX_ATTEMPTS = 5;

type Cleared = { _id: string; version: number; sequence: number };

/**
 * Publishes what documents say, once each, in the order of its versions. An event is written into its document's outbox
 * in the very update that decides it; whoever wrote it relays it then, and a sweep relays what a crash has left. Any
 * number of relays may do so at once: each publish has an expected sequence, and where another was first, the version
 * that stands in the journal says so.
 */
export class Outbox<Document extends WithOutbox> {
  readonly #parts: OutboxParts<Document>;
  readonly #options: OutboxOptions;
  readonly #clears: Batches<Cleared, undefined>;
  readonly #stop = new AbortController();
  #sweeping: Promise<void> = Promise.resolve();
  #left = { count: 0, ageMs: 0 };
  #endObserving = () => {};

  constructor(parts: OutboxParts<Document>, { sweepMs = SWEEP_MS }: Partial<OutboxOptions> = {}) {
    this.#parts = parts;
    this.#options = { sweepMs };
    this.#clears = new Batches((cleared) => this.#clear(cleared), { maxItems: CLEARED_AT_ONCE });
  }

  /** An event as it stands in the outbox. The same cause makes the same id. @param event.version from 1, gapless. */
  entry<Type extends DescMessage>(
    key: string,
    type: Type,
    says: MessageInitShape<Type>,
    event: Omit<OutboxEntry, 'id' | 'type' | 'data'>,
  ): OutboxEntry {
    const id = eventId(this.#subject(key), event.causationId, type.typeName);
    return { ...event, id, type: type.typeName, data: new Binary(toBinary(type, create(type, says))) };
  }

  /**
   * Publishes what the document says. Resolves once the journal has all of it; the outbox is emptied soon after.
   * @throws UnavailableError where the broker is away.
   */
  async relay({ _id, outbox, sequence }: Pick<Document, keyof WithOutbox>): Promise<void> {
    let at = sequence;
    for (const entry of outbox) at = await this.#publish(_id, entry, at);
    const last = outbox.at(-1);
    if (last === undefined) return;
    const cleared = { _id, version: last.version, sequence: at };
    // It is published: what stays in the outbox is found published by the next sweep.
    this.#clears.add(cleared).catch((error) => {
      this.#parts.logger.warn({ err: error, key: _id }, 'an outbox could not be emptied; the next sweep will');
    });
  }

  /** What is said through it. */
  says(): ReturnType<Publisher['says']> {
    const { name: aggregate, events } = this.#parts.aggregate;
    return { journal: this.#parts.journal.declaration, aggregate, eventTypes: eventTypesOf(events) };
  }

  /** Begins to look regularly for what was left, at once and then every so often. */
  start(): void {
    this.#endObserving = this.#observe();
    this.#sweeping = this.#keepSweeping(this.#stop.signal);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#endObserving();
    await this.#sweeping;
    await this.#clears.settled();
  }

  /**
   * Relays what is in any outbox of the collection. Answers how many documents had something in theirs. One that can't be
   * published does not keep the others from it; where something is away, nothing more is tried.
   * @throws the first error, once the others are relayed.
   */
  async sweep(): Promise<number> {
    const { collection } = this.#parts;
    const isLeft = { 'outbox.version': { $gte: 1 } } as object as Filter<Document>;
    this.#left = { count: 0, ageMs: 0 };
    const errors: unknown[] = [];
    const documents = collection.find(isLeft).batchSize(SWEPT_AT_ONCE);
    try {
      while (!errors.some(isOutage) && !this.#stop.signal.aborted && (await documents.hasNext())) {
        errors.push(
          ...(await this.#relayAll(documents.readBufferedDocuments(SWEPT_AT_ONCE) as object[] as Document[])),
        );
      }
    } finally {
      await documents.close();
    }
    if (errors.length > 0) throw errors[0];
    return this.#left.count;
  }

  /** Answers what went wrong. */
  async #relayAll(documents: readonly Document[]): Promise<unknown[]> {
    this.#note(documents.flatMap(({ outbox }) => outbox[0] ?? []));
    const relayed = await Promise.allSettled(documents.map((document) => this.relay(document)));
    await this.#clears.settled();
    return relayed.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  }

  #note(oldest: readonly OutboxEntry[]): void {
    const agesMs = oldest.map(({ time }) => Date.now() - time.getTime());
    this.#left = { count: this.#left.count + oldest.length, ageMs: Math.max(this.#left.ageMs, ...agesMs) };
  }

  async #keepSweeping(stop: AbortSignal): Promise<void> {
    let isIndexed = false;
    while (!stop.aborted) {
      const began = performance.now();
      try {
        if (!isIndexed) await this.#parts.collection.createIndex({ 'outbox.version': 1 });
        isIndexed = true;
        await this.sweep();
      } catch (error) {
        this.#parts.logger.warn({ err: error, aggregate: this.#parts.aggregate.name }, 'the outbox could not be swept');
      }
      const pauseMs = Math.max(this.#options.sweepMs, (performance.now() - began) / SWEEP_SHARE);
      await delay(pauseMs, undefined, { signal: stop }).catch(() => {});
    }
  }

  /** Answers where the event stands, or a later one of its document. */
  async #publish(key: string, entry: OutboxEntry, previous: number): Promise<number> {
    const { journal } = this.#parts;
    const parent = contextFrom((name) => entry[name as 'traceparent' | 'tracestate']);
    const attributes = (): Attributes => ({
      'messaging.system': 'nats',
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.destination.name': journal.stream,
      'messaging.message.id': entry.id,
    });
    return inSpan(`send ${journal.stream}`, { kind: SpanKind.PRODUCER, attributes, parent }, async () => {
      let expectedSequence = previous;
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        try {
          // A later version follows something: where it is not known what, that is looked for first.
          if (expectedSequence > 0 || entry.version === 1) {
            const { sequence } = await journal.append(this.#append(key, entry, expectedSequence));
            return Math.max(sequence, previous);
          }
        } catch (error) {
          if (!(error instanceof ConflictError)) throw error;
        }
        const { version, id, sequence } = await this.#last(key);
        // Another relay was first, and may be further already.
        if (version > entry.version || (version === entry.version && id === entry.id)) return sequence;
        if (version !== entry.version - 1) {
          throw new Error(`${this.#subject(key)} is at ${version} with ${id}: ${entry.version} can't follow`);
        }
        expectedSequence = sequence;
      }
      throw new ConflictError(`${this.#subject(key)} has changed again and again`);
    });
  }

  #append(key: string, entry: OutboxEntry, expectedSequence: number): Append {
    const { id, data, ...context } = entry;
    const source = this.#parts.journal.declaration.service;
    const trace = traceHeaders();
    // Where nothing is traced here, the trace is passed on as it came.
    const headers = eventHeaders({ ...context, id, source, key, ...(trace.traceparent === '' ? {} : trace) });
    return { subject: this.#subject(key), data: data.value(), headers, id, expectedSequence };
  }

  async #last(key: string): Promise<{ version: number; id: string; sequence: number }> {
    const last = await this.#parts.journal.lastOnLeader(this.#subject(key));
    if (last === undefined) return { version: 0, id: '', sequence: 0 };
    return { version: versionOf(last), id: last.headers.get('ce-id'), sequence: last.sequence };
  }

  async #clear(cleared: readonly Cleared[]): Promise<readonly undefined[]> {
    const { collection } = this.#parts;
    const operations = cleared.map(({ _id, version, sequence }) => ({
      updateOne: {
        filter: { _id },
        update: { $pull: { outbox: { version: { $lte: version } } }, $max: { sequence } },
      },
    }));
    await inDatabaseSpan('bulkWrite', collection, () =>
      collection.bulkWrite(operations as unknown as AnyBulkWriteOperation<Document>[], { ordered: false }),
    );
    return cleared.map(() => undefined);
  }

  /** How many documents the latest sweep found with something in their outbox, and how long the oldest had waited. */
  #observe(): () => void {
    const meter = metrics.getMeter('causeway');
    const labels = { aggregate: this.#parts.aggregate.name };
    const size = meter.createObservableGauge('causeway.outbox.left', {
      description: 'Documents whose events a sweep of the outbox found unpublished, or not known to be published',
    });
    const age = meter.createObservableGauge('causeway.outbox.age', {
      unit: 's',
      description: 'How old the oldest of these events was then',
    });
    const observeSize = (result: ObservableResult) => result.observe(this.#left.count, labels);
    const observeAge = (result: ObservableResult) => result.observe(this.#left.ageMs / 1_000, labels);
    size.addCallback(observeSize);
    age.addCallback(observeAge);
    return () => {
      size.removeCallback(observeSize);
      age.removeCallback(observeAge);
    };
  }

  #subject(key: string): string {
    return subjectOf(this.#parts.journal.declaration.service, this.#parts.aggregate.name, key);
  }
}
