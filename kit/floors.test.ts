import { setTimeout as delay } from 'node:timers/promises';
import { DeliverPolicy } from '@nats-io/jetstream';
import { describe, expect, test, vi } from 'vitest';
import { connectBroker } from '#kit/broker.ts';
import { Floors } from './floors.ts';
import { silent } from './telemetry/logging.ts';
import { keysOfPartition, noting, openBank, ownConnection } from './testing/reacting.ts';
import { atTheEnd, ownNats } from './testing/servers.ts';

const nats = await ownNats();
const [key = ''] = keysOfPartition(3, 1);

describe('how far consumers are', () => {
  test('is known to whoever comes next, and only rises', async () => {
    const [one, other] = [await ownConnection(nats.url), await ownConnection(nats.url)];
    const [former, next] = [await Floors.of(one, 'shop', silent), await Floors.of(other, 'shop', silent)];
    expect(await next.read('shop-greet', 3)).toBeUndefined();
    former.note('shop-greet', 3, 7);
    former.note('shop-greet', 3, 5);
    await former.write();
    expect(await next.read('shop-greet', 3)).toBe(7);
    next.note('shop-greet', 3, 9);
    next.note('shop-wave', 3, 4);
    await next.write();
    former.note('shop-greet', 3, 8);
    former.note('shop-bow', 3, 1);
    await former.write();
    const third = await Floors.of(await ownConnection(nats.url), 'shop', silent);
    expect(await Promise.all(['greet', 'wave', 'bow'].map((name) => third.read(`shop-${name}`, 3)))).toEqual([9, 4, 1]);
  });

  test('is noted by itself within a second or so', async () => {
    const floors = await Floors.of(await ownConnection(nats.url), 'cafe', silent);
    floors.note('cafe-serve', 2, 11);
    const reader = await Floors.of(await ownConnection(nats.url), 'cafe', silent);
    await expect.poll(() => reader.read('cafe-serve', 2)).toBe(11);
  });
});

describe('a consumer that went with its broker', () => {
  test.each(['with-the-first-event', 'now'] as const)('goes on where it was, where it began %s', async (begins) => {
    const own = await ownNats({ syncAlways: true });
    const broker = await connectBroker({ url: own.url, name: 'test' });
    atTheEnd(broker.close);
    const bank = await openBank(own.url);
    if (begins === 'now') await bank.deposit(key, 1);
    const first = noting();
    const consumer = bank.consumer(first.handle, { begins });
    await consumer.own([3]);
    const { manager } = bank.broker;
    const durable = `${consumer.name}-3`;
    await vi.waitFor(() => manager.consumers.info(bank.journal.stream, durable), { timeout: 5_000 });
    await bank.deposit(key, 2);
    await bank.deposit(key, 3);
    await expect.poll(() => first.amounts).toEqual([2, 3]);
    await consumer.stop();

    await own.kill();
    await own.restart();
    await vi.waitFor(() => manager.streams.info(bank.journal.stream), { timeout: 10_000 });
    await expect(manager.consumers.info(bank.journal.stream, durable)).rejects.toThrow(/consumer not found/);
    await bank.deposit(key, 4);

    const second = noting();
    const next = bank.consumer(second.handle, { begins });
    await next.own([3]);
    await expect.poll(() => second.amounts, { timeout: 10_000 }).toEqual([4]);
  });

  test('goes on with the first event, where it began now and there was none yet', async () => {
    const own = await ownNats({ syncAlways: true });
    const bank = await openBank(own.url);
    const consumer = bank.consumer(noting().handle, { begins: 'now' });
    await consumer.own([3]);
    await expect.poll(() => consumer.health().ready).toBe(true);
    await consumer.stop();
    await own.kill();
    await own.restart();
    await vi.waitFor(() => bank.deposit(key, 1), { timeout: 10_000 });

    const second = noting();
    await bank.consumer(second.handle, { begins: 'now' }).own([3]);
    await expect.poll(() => second.amounts, { timeout: 10_000 }).toEqual([1]);
  });

  test('is made anew while its owner lives, which misses and repeats nothing', async () => {
    const own = await ownNats({ syncAlways: true });
    const bank = await openBank(own.url);
    const seen = noting();
    const consumer = bank.consumer(seen.handle);
    await consumer.own([3]);
    await bank.deposit(key, 1);
    await expect.poll(() => seen.amounts).toEqual([1]);
    // Its acknowledgement is on its way to the broker, and how far it is, on its way to the disk.
    await delay(1_500);
    await own.kill();
    await own.restart();
    await vi.waitFor(() => bank.deposit(key, 2), { timeout: 10_000 });
    await expect.poll(() => seen.amounts, { timeout: 15_000 }).toContain(2);
    expect(seen.amounts).toEqual([1, 2]);
  });

  test('goes on where it was, where the broker has made it anew as it was made at first', async () => {
    const bank = await openBank(nats.url);
    const first = noting();
    const consumer = bank.consumer(first.handle);
    await consumer.own([3]);
    await bank.deposit(key, 1);
    await bank.deposit(key, 2);
    await expect.poll(() => first.amounts).toEqual([1, 2]);
    await consumer.stop();
    const { consumers } = bank.broker.manager;
    const { config } = await consumers.info(bank.journal.stream, `${consumer.name}-3`);
    await consumers.delete(bank.journal.stream, `${consumer.name}-3`);
    await consumers.add(bank.journal.stream, { ...config, deliver_policy: DeliverPolicy.All });
    await bank.deposit(key, 3);

    const second = noting();
    await bank.consumer(second.handle).own([3]);
    await expect.poll(() => second.amounts, { timeout: 10_000 }).toContain(3);
    expect(second.amounts).toEqual([3]);
  });
});
