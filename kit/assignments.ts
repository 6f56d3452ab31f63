import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import { type PartitionsAssigned, PartitionsAssignedSchema } from '#gen/causeway/events/v1/partitions_assigned_pb.js';
import { answered, type Broker } from './broker.ts';
import { eventHeaders } from './event.ts';
import { Journal } from './journal.ts';
import type { OwnedSince } from './member-status.ts';
import { subjectOf } from './partitions.ts';
import { backoffMs } from './retry.ts';
import type { Publisher } from './service-descriptions.ts';
import { NOTICES } from './streams.ts';
import type { Logger } from './telemetry/logging.ts';

/** Of the events' subjects; the key is the service's name. */
export const SERVICE_AGGREGATE = 'service';

/** Changes that wait to be told; an older one is left out then. */
const MOST_UNTOLD = 64;
const RETRY = { minMs: 200, maxMs: 10_000 };

type Change = { id: string; at: Date; says: Omit<PartitionsAssigned, '$typeName'> };

/**
 * Tells operators which partitions this member came to own, as notification events. They are told when there is somebody
 * to tell, and keep nobody waiting: who ends before has not told all.
 */
export class Assignments implements Publisher {
  readonly #parts: { service: string; member: string; broker: Broker; logger: Logger; clock: () => Date };
  readonly #journal: Journal;
  readonly #end = new AbortController();
  readonly #since = new Map<number, Date>();
  readonly #untold: Change[] = [];
  #telling: Promise<void> | undefined;

  constructor(parts: { service: string; member: string; broker: Broker; logger: Logger; clock: () => Date }) {
    this.#parts = parts;
    this.#journal = new Journal(NOTICES, parts.broker);
  }

  /** What this member owns now, and since when. */
  get owned(): OwnedSince[] {
    const owned = [...this.#since].map(([partition, since]) => ({ partition, since: since.getTime() }));
    return owned.sort((one, other) => one.partition - other.partition);
  }

  says(): ReturnType<Publisher['says']> {
    const { service: key } = this.#parts;
    return { journal: NOTICES, aggregate: SERVICE_AGGREGATE, eventTypes: [PartitionsAssignedSchema.typeName], key };
  }

  /** Notes that these partitions are owned from now on, and tells it. @param members how many there are of the service. */
  changed(partitions: readonly number[], members: number): void {
    const at = this.#parts.clock();
    const gained = partitions.filter((partition) => !this.#since.has(partition));
    const lost = this.owned.map(({ partition }) => partition).filter((partition) => !partitions.includes(partition));
    for (const partition of lost) this.#since.delete(partition);
    for (const partition of gained) this.#since.set(partition, at);
    const { service, member } = this.#parts;
    const says = { service, member, host: hostname(), partitions: [...partitions], gained, lost, members };
    this.#untold.push({ id: randomUUID(), at, says });
    if (this.#untold.length > MOST_UNTOLD) this.#untold.shift();
    this.#telling ??= this.#tell().finally(() => {
      this.#telling = undefined;
    });
  }

  /** Resolves when everything is told, or after so long: then it is not told any more. */
  async end(withinMs: number): Promise<void> {
    await Promise.race([this.#telling, delay(withinMs, undefined, { ref: false })]);
    this.#end.abort();
  }

  async #tell(): Promise<void> {
    let tries = 0;
    for (let change = this.#untold[0]; change !== undefined; change = this.#untold[0]) {
      try {
        await this.#publish(change);
        // It may have been left out meanwhile.
        if (this.#untold[0] === change) this.#untold.shift();
        tries = 0;
      } catch (error) {
        const { logger, service } = this.#parts;
        if (tries === 0) logger.warn({ err: error, service }, 'who owns what is told later');
        await delay(backoffMs(++tries, RETRY), undefined, { signal: this.#end.signal }).catch(() => {});
      }
      if (this.#end.signal.aborted) return;
    }
  }

  /** Many members say it of one service, each of itself: nobody has to have seen what another one said. */
  async #publish({ id, at, says }: Change): Promise<void> {
    const { service, member, broker } = this.#parts;
    await this.#journal.ensure();
    const headers = eventHeaders({
      id,
      type: PartitionsAssignedSchema.typeName,
      source: service,
      key: service,
      time: at,
      version: 1,
      correlationId: member,
      causationId: member,
      actor: service,
      traceparent: '',
      tracestate: '',
    });
    const data = toBinary(PartitionsAssignedSchema, create(PartitionsAssignedSchema, says));
    const subject = subjectOf(NOTICES.service, SERVICE_AGGREGATE, service);
    await answered(broker, () => broker.js.publish(subject, data, { headers, msgID: id }));
  }
}
