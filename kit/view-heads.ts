import { type ConsumerInfo, DeliverPolicy, JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import { answered, type Broker } from './broker.ts';
import { addConsumer } from './named-consumers.ts';
import { allPartitions } from './partitions.ts';
import type { EventSource } from './view.ts';

type Sources = { sources: readonly EventSource[] };

/** The last message of one partition of a journal that a view looks at; sequence 0: there is none. */
export type Head = { stream: string; partition: number; sequence: number };

/** The streams that a view is made from. */
export function streamsOf({ sources }: Sources): string[] {
  return [...new Set(sources.map(({ journal }) => journal.stream))];
}

/**
 * The heads of a view's journals, as their leaders know them: all that anybody was told is stored is at or before them.
 * @throws UnavailableError where the broker is away.
 */
export async function headsOf(broker: Broker, { sources }: Sources): Promise<Head[]> {
  const headOf = async ({ journal: { service, stream }, aggregate }: EventSource, partition: number) => {
    const query = { last_by_subj: `${service}.event.${partition}.${aggregate}.*` };
    const message = await broker.manager.streams.getMessage(stream, query);
    return { stream, partition, sequence: message?.seq ?? 0 };
  };
  return answered(broker, () =>
    Promise.all(sources.flatMap((source) => allPartitions.map((partition) => headOf(source, partition)))),
  );
}

/** Name of the consumer that counts for a view. @param consumer that of its consumers, without the partition. */
export function counterOf(consumer: string): string {
  return `${consumer}-count`;
}

/**
 * How many messages the journals hold for a view.
 * @param counter name of the consumer that counts; two that count at the same time may share it.
 * @throws UnavailableError where the broker is away.
 */
export async function countMessages(broker: Broker, view: Sources, counter: string): Promise<number> {
  const countIn = async (stream: string) => {
    const { consumers } = broker.manager;
    // The server counts what a consumer has before it, and nothing else does.
    const { num_pending } = await addConsumer(broker, stream, {
      durable_name: counter,
      filter_subjects: subjectsIn(view, stream, '*'),
      deliver_policy: DeliverPolicy.All,
      mem_storage: true,
      inactive_threshold: 5_000_000_000,
    });
    // Where it can't be deleted it goes by itself.
    await consumers.delete(stream, counter).catch(() => {});
    return num_pending;
  };
  const counts = await answered(broker, () => Promise.all(streamsOf(view).map(countIn)));
  return counts.reduce((sum, count) => sum + count, 0);
}

/**
 * How many messages the consumers of a build have before them; undefined where not all of them are there.
 * @param consumer their name without the partition.
 */
export async function messagesLeft(broker: Broker, view: Sources, consumer: string): Promise<number | undefined> {
  const { consumers } = broker.manager;
  const infosIn = (stream: string) =>
    allPartitions.map((partition) => consumers.info(stream, `${consumer}-${partition}`));
  try {
    const found = await answered(broker, () => Promise.all(streamsOf(view).flatMap(infosIn)));
    return found.reduce((sum, info) => sum + leftOf(info), 0);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound) return undefined;
    throw error;
  }
}

function leftOf({ num_pending, num_ack_pending }: ConsumerInfo): number {
  return num_pending + num_ack_pending;
}

/** The subjects of a view in a stream, of one partition or of all. */
export function subjectsIn({ sources }: Sources, stream: string, partition: number | '*'): string[] {
  return sources
    .filter(({ journal }) => journal.stream === stream)
    .map(({ journal, aggregate }) => `${journal.service}.event.${partition}.${aggregate}.*`);
}
