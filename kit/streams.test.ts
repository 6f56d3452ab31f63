import { DiscardPolicy, JetStreamApiError, PersistMode, type StreamConfig } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Broker, connectBroker } from './broker.ts';
import { drift, ensureStream, journalOf, journalStream, type StreamDeclaration, StreamDriftError } from './streams.ts';
import { ownNats } from './testing/servers.ts';

let broker: Broker;
let journals = 0;
/** A journal that no other test has. */
let service: string;
let stream: string;
let declared: StreamDeclaration;

beforeAll(async () => {
  const nats = await ownNats();
  broker = await connectBroker({ url: nats.url, name: 'streams' });
  return () => broker.close();
});

beforeEach(() => {
  service = `accounts${++journals}`;
  const declaration = journalOf(service, 1024 ** 2);
  stream = declaration.stream;
  declared = journalStream(declaration, broker);
});

const made = async () => (await broker.manager.streams.info(stream)).config;

describe("a service's journal", () => {
  test("is a stream by the service's name", () => {
    expect(journalOf('orders')).toEqual({ service: 'orders', stream: 'ORDERS' });
  });

  test('has the room that the platform gives each, unless it declares another', () => {
    const platform = { replicas: 1, journalMaxBytes: 7 };
    expect(broker.journalMaxBytes).toBe(8 * 1024 ** 3);
    expect(journalStream(journalOf('orders'), platform).max_bytes).toBe(7);
    expect(journalStream(journalOf('orders', 5), platform).max_bytes).toBe(5);
  });

  test('is created as it is declared', async () => {
    await ensureStream(broker.manager, declared);
    expect(await made()).toMatchObject({
      name: stream,
      subjects: [`${service}.event.>`],
      storage: 'file',
      retention: 'limits',
      discard: 'new',
      max_bytes: 1024 ** 2,
      max_age: 0,
      max_msgs: -1,
      max_msgs_per_subject: -1,
      num_replicas: 1,
      allow_direct: true,
      deny_delete: true,
      deny_purge: true,
      allow_rollup_hdrs: false,
      duplicate_window: 120_000_000_000,
      republish: { src: `${service}.event.>`, dest: `live.${service}.event.>` },
    });
  });

  test('that stands already is left as it is', async () => {
    await ensureStream(broker.manager, declared);
    await broker.js.publish(`${service}.event.4.account.a`, 'kept');
    await ensureStream(broker.manager, declared);
    expect((await broker.manager.streams.info(stream)).state.messages).toBe(1);
  });

  test('can be ensured by several services at the same time', async () => {
    await Promise.all(Array.from({ length: 5 }, () => ensureStream(broker.manager, declared)));
  });

  test('on a cluster is kept by three', () => {
    expect(journalStream(journalOf(service), { ...broker, replicas: 3 }).num_replicas).toBe(3);
  });

  const differences: Partial<StreamConfig>[] = [
    { deny_purge: false },
    { deny_delete: false },
    { allow_rollup_hdrs: true, deny_purge: false },
    { allow_direct: false },
    { discard: DiscardPolicy.Old },
    { max_bytes: 1024 ** 2 - 1 },
    { max_bytes: -1 },
    { max_age: 3_600_000_000_000 },
    { max_msgs: 1_000 },
    { max_msgs_per_subject: 5 },
    { max_msg_size: 100 },
    { duplicate_window: 1_000_000_000 },
    { subjects: ['elsewhere.>'], republish: { src: 'elsewhere.>', dest: 'live.elsewhere.>' } },
    { republish: { src: '>', dest: 'other.>' } },
    { republish: { src: '>', dest: 'live.>', headers_only: true } },
    { allow_msg_ttl: true },
    { allow_msg_ttl: true, subject_delete_marker_ttl: 3_600_000_000_000 },
    { max_consumers: 8 },
    { consumer_limits: { inactive_threshold: 3_600_000_000_000 } },
    { discard_new_per_subject: true, max_msgs_per_subject: 5 },
    { allow_msg_counter: true, discard: DiscardPolicy.Old },
    { subject_transform: { src: 'elsewhere.>', dest: 'other.>' } },
    { sources: [{ name: 'ELSEWHERE' }] },
    { mirror: { name: 'ELSEWHERE' }, subjects: [] },
    { no_ack: true },
    { persist_mode: PersistMode.Async },
    { storage: 'memory' },
    { retention: 'interest' },
  ];
  test.each(differences)('that differs in %o stops the service and is named', async (different) => {
    await broker.manager.streams.add({ ...declared, ...different });
    const ensured = ensureStream(broker.manager, declared);
    await expect(ensured).rejects.toThrow(StreamDriftError);
    await expect(ensured).rejects.toThrow(`stream ${stream} is not as declared: `);
    for (const name of Object.keys(different)) await expect(ensured).rejects.toThrow(`${name} is `);
  });

  test('that was given more room is taken as it is', async () => {
    await broker.manager.streams.add(declared);
    await broker.manager.streams.update(stream, { max_bytes: 2 * 1024 ** 2 });
    await ensureStream(broker.manager, declared);
    expect((await made()).max_bytes).toBe(2 * 1024 ** 2);
  });

  test('with less room than declared says how much it should have', async () => {
    await broker.manager.streams.add(declared);
    await broker.manager.streams.update(stream, { max_bytes: 1_000_000 });
    await expect(ensureStream(broker.manager, declared)).rejects.toThrow('max_bytes is 1000000, not 1048576 or more');
  });

  test('without a republish target stops the service', async () => {
    const { republish: _, ...without } = declared;
    await broker.manager.streams.add(without);
    await expect(ensureStream(broker.manager, declared)).rejects.toThrow('republish is undefined');
  });

  test('with message schedules can not pass, because they turn purge and roll-up on again', async () => {
    await broker.manager.streams.add({ ...declared, discard: DiscardPolicy.Old, allow_msg_schedules: true });
    expect(await made()).toMatchObject({ deny_purge: false, allow_rollup_hdrs: true });
    const ensured = ensureStream(broker.manager, declared);
    await expect(ensured).rejects.toThrow('allow_msg_schedules is true, not false');
    await expect(ensured).rejects.toThrow('deny_purge is false, not true');
    await expect(ensured).rejects.toThrow('allow_rollup_hdrs is true, not false');
  });

  test('with message schedules can not even be made in this form', async () => {
    await expect(broker.manager.streams.add({ ...declared, allow_msg_schedules: true })).rejects.toThrow(
      JetStreamApiError,
    );
  });
});

test('what the server leaves out counts as off', () => {
  expect(
    drift(
      { name: 'A', subjects: [], sealed: false, max_age: 0, persist_mode: PersistMode.Default },
      { name: 'A', subjects: [] },
    ),
  ).toEqual([]);
  expect(drift({ name: 'A', subjects: [], deny_purge: true }, { name: 'A', subjects: [] })).toEqual([
    'deny_purge is undefined, not true',
  ]);
});

describe('nothing that a journal holds', () => {
  let subject: string;

  beforeEach(async () => {
    subject = `${service}.event.4.account.a`;
    await ensureStream(broker.manager, declared);
    await broker.js.publish(subject, 'first');
    await broker.js.publish(subject, 'second');
  });

  const kept = async () => (await broker.manager.streams.info(stream)).state.messages;

  test('can be purged', async () => {
    await expect(broker.manager.streams.purge(stream)).rejects.toThrow('purge not permitted');
    await expect(broker.manager.streams.purge(stream, { filter: subject })).rejects.toThrow('purge not permitted');
    expect(await kept()).toBe(2);
  });

  test('can be deleted', async () => {
    await expect(broker.manager.streams.deleteMessage(stream, 1)).rejects.toThrow('delete not permitted');
    expect(await kept()).toBe(2);
  });

  test.each(['sub', 'all'])('can be rolled up (%s)', async (what) => {
    const head = headers();
    head.set('Nats-Rollup', what);
    await expect(broker.js.publish(subject, 'third', { headers: head })).rejects.toThrow('rollup not permitted');
    expect(await kept()).toBe(2);
  });

  test('can be made to expire', async () => {
    const head = headers();
    head.set('Nats-TTL', '1s');
    await expect(broker.js.publish(subject, 'third', { headers: head })).rejects.toThrow('TTL is disabled');
  });

  test('is pushed out by what comes when it is full', async () => {
    const megabyte = Buffer.alloc(256 * 1024);
    await expect(
      (async () => {
        for (let message = 0; message < 8; message++) await broker.js.publish(subject, megabyte);
      })(),
    ).rejects.toThrow('maximum bytes exceeded');
    expect((await broker.manager.streams.getMessage(stream, { seq: 1 }))?.string()).toBe('first');
  });
});
