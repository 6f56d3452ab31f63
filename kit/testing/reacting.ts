import { randomUUID } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { onTestFinished } from 'vitest';
import { type Position, PositionSchema } from '#gen/causeway/events/v1/position_pb.js';
import {
  AccountOpenedSchema,
  type MoneyDeposited,
  MoneyDepositedSchema,
  MoneyWithdrawnSchema,
} from '#gen/causeway/testing/v1/account_pb.js';
import { type Broker, connectBroker } from '#kit/broker.ts';
import { type ConsumerOptions, KeyedConsumer, type Reaction } from '#kit/consumer.ts';
import { EventTypes, eventHeaders, type RecordedEvent } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import { partitionOf, subjectOf } from '#kit/partitions.ts';
import { journalOf } from '#kit/streams.ts';
import { type Logger, silent } from '#kit/telemetry/logging.ts';

type Deposit = RecordedEvent<MoneyDeposited>;
export type Handle = Reaction<MoneyDeposited>['handle'];

/** A bank of a test's own: a journal to publish to, and consumers that react to what is paid in. */
export type Bank = {
  service: string;
  broker: Broker;
  journal: Journal;
  /** Publishes a deposit of this amount, by which a handler knows it. Resolves with its sequence. */
  deposit(key: string, amount: number, words?: { traceparent: string }): Promise<number>;
  /** Publishes an event of another type. */
  withdraw(key: string, amount: number): Promise<number>;
  /** Publishes anything under a key's subject. */
  raw(key: string, data: Uint8Array): Promise<number>;
  reaction(handle: Handle): Reaction<MoneyDeposited>;
  /** A consumer on a connection of its own or the bank's; stopped when the test ends. */
  consumer(
    handle: Handle,
    options?: ConsumerOptions & { broker?: Broker; logger?: Logger; begins?: Reaction['begins'] },
  ): KeyedConsumer<MoneyDeposited>;
  /** What the consumer has parked for a key, first to last. */
  parked(key: string): Promise<{ sequence: number; reason: string; attempts: number }[]>;
};

/** Keys that are all in one partition, so that one consumer handles them. */
export function keysOfPartition(partition: number, count: number): string[] {
  const keys: string[] = [];
  for (let number = 0; keys.length < count; number++) {
    if (partitionOf(`account-${number}`) === partition) keys.push(`account-${number}`);
  }
  return keys;
}

/** The position of a key's event, as a reply to a command has it. */
export function positionOf({ journal }: Bank, key: string, sequence: number, partition = partitionOf(key)): Position {
  return create(PositionSchema, { stream: journal.stream, partition, sequence: BigInt(sequence) });
}

/** A connection of a test's own, closed when the test ends. */
export async function ownConnection(url: string): Promise<Broker> {
  // A machine that stands still for a moment fails no test.
  const broker = await connectBroker({ url, name: 'test', timeoutMs: 5_000 });
  onTestFinished(() => broker.close());
  return broker;
}

/** Short waits, so that tests are quick. */
const quick: ConsumerOptions = { backoff: { minMs: 2, maxMs: 20 }, drainMs: 2_000 };

export async function openBank(url: string, service = `bank${randomUUID().slice(0, 8)}`): Promise<Bank> {
  const broker = await ownConnection(url);
  const journal = new Journal(journalOf(service, 64 * 1024 ** 2), broker);
  await journal.ensure();
  const versions = new Map<string, number>();

  async function publish(
    key: string,
    type: typeof MoneyDepositedSchema | typeof MoneyWithdrawnSchema,
    amount: number,
    traceparent = '',
  ) {
    const version = (versions.get(key) ?? 0) + 1;
    versions.set(key, version);
    const headers = eventHeaders({
      id: `${key}.${version}`,
      type: type.typeName,
      source: service,
      key,
      time: new Date(),
      version,
      correlationId: `correlation of ${key}`,
      causationId: 'test',
      actor: 'test',
      traceparent,
      tracestate: '',
    });
    const data = toBinary(type, create(type, { accountId: key, amount: BigInt(amount) }));
    return (await broker.js.publish(subjectOf(service, 'account', key), data, { headers })).seq;
  }

  const reaction = (handle: Handle): Reaction<MoneyDeposited> => ({
    name: 'thank-on-deposit',
    sources: [{ journal: journal.declaration, aggregate: 'account' }],
    begins: 'with-the-first-event',
    types: new EventTypes([MoneyDepositedSchema, AccountOpenedSchema]),
    handle,
  });

  return {
    service,
    broker,
    journal,
    reaction,
    deposit: (key, amount, words) => publish(key, MoneyDepositedSchema, amount, words?.traceparent),
    withdraw: (key, amount) => publish(key, MoneyWithdrawnSchema, amount),
    raw: async (key, data) => (await broker.js.publish(subjectOf(service, 'account', key), data)).seq,
    consumer(handle, { broker: own = broker, logger = silent, begins = 'with-the-first-event', ...options } = {}) {
      const parts = { service, broker: own, logger, personalData: { find: async () => undefined } };
      const consumer = new KeyedConsumer({ ...reaction(handle), begins }, parts, { ...quick, ...options });
      onTestFinished(() => consumer.stop());
      return consumer;
    },
    async parked(key) {
      const letters = new Journal({ service: 'dead', stream: 'DEAD_LETTERS', maxBytes: 0 }, broker);
      const subject = `dead.${service}-thank-on-deposit.${partitionOf(key)}.${key}`;
      return (await letters.history(subject)).map(({ headers }) => ({
        sequence: Number(headers.get('Causeway-Dead-Sequence')),
        reason: headers.get('Causeway-Dead-Reason'),
        attempts: Number(headers.get('Causeway-Dead-Attempts')),
      }));
    },
  };
}

/** A handler that notes the amounts it was given, by key, and then does what the test wants. */
export function noting(then: (deposit: Deposit, context: Parameters<Handle>[1]) => unknown = () => {}) {
  const amounts: number[] = [];
  const byKey = new Map<string, number[]>();
  const handle: Handle = async (event, context) => {
    const amount = Number(event.data.amount);
    amounts.push(amount);
    byKey.set(event.key, [...(byKey.get(event.key) ?? []), amount]);
    await then(event, context);
  };
  return { handle, amounts, byKey, of: (key: string) => byKey.get(key) ?? [] };
}
