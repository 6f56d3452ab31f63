import { randomUUID } from 'node:crypto';
import { Kvm } from '@nats-io/kv';
import { expect, onTestFinished, test, vi } from 'vitest';
import { bucketStream, entriesOf } from './bucket-entries.ts';
import { UnavailableError } from './errors.ts';
import { publishRaw } from './testing/raw.ts';
import { ownConnection } from './testing/reacting.ts';
import { ownNats, sharedNatsUrl } from './testing/servers.ts';

async function openBucket() {
  const broker = await ownConnection(sharedNatsUrl());
  const name = `bucket-${randomUUID()}`;
  return { broker, name, bucket: await new Kvm(broker.js).create(name) };
}

test('what stands in a bucket is read, without what was deleted, or what nobody can read', async () => {
  const { broker, name, bucket } = await openBucket();
  await bucket.put('orders.a', 'first');
  await bucket.put('orders.a', 'ä');
  await bucket.put('orders.b', 'gone');
  await bucket.delete('orders.b');
  await publishRaw(sharedNatsUrl(), `$KV.${name}.orders.c`, 'NATS/1.0\r\nid: a\nb\r\n\r\n');
  const { manager } = broker;
  await expect.poll(async () => (await manager.streams.info(bucketStream(name))).state.last_seq).toBe(5);
  await bucket.put('payments.a', '3');

  expect(await entriesOf(broker, name, 'orders.*')).toEqual([
    { key: 'orders.a', revision: 2, writtenAt: expect.any(Date), text: 'ä' },
  ]);
  expect((await entriesOf(broker, name)).map(({ key }) => key)).toEqual(['orders.a', 'payments.a']);
  expect(await entriesOf(broker, name, 'shipping.*')).toEqual([]);
  expect(await entriesOf(broker, `none-${name}`)).toEqual([]);
});

test('it is asked for every few seconds by everybody, and leaves nothing behind at the broker', async () => {
  const { broker, name, bucket } = await openBucket();
  await bucket.put('a', '1');
  const subscribed = vi.spyOn(broker.connection, 'subscribe');

  await entriesOf(broker, name);

  expect(subscribed.mock.results.map(({ value }) => value.isClosed())).toEqual([true]);
});

test('where the broker does not answer that is said once the time for it is over', async () => {
  const nats = await ownNats();
  const broker = await ownConnection(nats.url);
  const name = `bucket-${randomUUID()}`;
  await new Kvm(broker.js).create(name);
  const findingStreams = vi.spyOn(broker.manager.streams, 'info');
  await nats.kill('SIGSTOP');
  onTestFinished(() => nats.kill('SIGCONT'));

  await expect(entriesOf(broker, name, '>', { answerMs: 20 })).rejects.toThrow(UnavailableError);
  expect(findingStreams).not.toHaveBeenCalled();
});
