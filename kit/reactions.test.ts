import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Bank, keysOfPartition, noting, openBank, ownConnection } from '#kit/testing/reacting.ts';
import { ownNats } from '#kit/testing/servers.ts';
import type { Broker } from './broker.ts';
import type { Reaction } from './consumer.ts';
import { allPartitions } from './partitions.ts';
import { Reactions } from './reactions.ts';
import { silent } from './telemetry/logging.ts';

let url: string;

beforeAll(async () => {
  url = (await ownNats()).url;
});

const keys = allPartitions.flatMap((partition) => keysOfPartition(partition, 1));

function reactions(bank: Bank, handle: Reaction['handle'], broker: Broker = bank.broker): Reactions {
  const parts = { service: bank.service, broker, logger: silent, personalData: { find: async () => undefined } };
  const thanking = bank.reaction(handle) as Reaction;
  const all = new Reactions([thanking, { ...thanking, name: 'count-deposits' }], parts, {
    ownership: { heartbeatMs: 50 },
  });
  onTestFinished(() => all.stop());
  return all;
}

test('one process alone runs every reaction on every partition', async () => {
  const bank = await openBank(url);
  const noted = noting();
  const all = reactions(bank, noted.handle as Reaction['handle']);
  await all.start();
  for (const key of keys) await bank.deposit(key, 1);
  await expect.poll(() => keys.map((key) => noted.of(key))).toEqual(keys.map(() => [1, 1]));
  expect(all.health()).toEqual({ ready: true, reasons: [] });
  await all.stop();
  expect(all.partitions).toEqual([]);
});

test('a second process takes over its share, and everything when the first one crashes', async () => {
  const bank = await openBank(url);
  const doomed = await ownConnection(url);
  const before = noting();
  const after = noting();
  const first = reactions(bank, before.handle as Reaction['handle'], doomed);
  await first.start();
  const second = reactions(bank, after.handle as Reaction['handle']);
  await second.start();
  await expect.poll(() => [...first.partitions, ...second.partitions].toSorted()).toEqual(allPartitions);
  for (const key of keys) await bank.deposit(key, 1);
  await expect.poll(() => new Set([...before.byKey.keys(), ...after.byKey.keys()]).size).toBe(keys.length);
  await doomed.close();
  for (const key of keys) await bank.deposit(key, 2);
  await expect.poll(() => keys.filter((key) => after.of(key).includes(2)), { timeout: 10_000 }).toEqual(keys);
});

test('two reactions of a service can not have the same name', async () => {
  const bank = await openBank(url);
  const parts = { ...bank, logger: silent, personalData: { find: async () => undefined } };
  const reaction = bank.reaction(async () => {}) as Reaction;
  expect(() => new Reactions([reaction, { ...reaction }], parts)).toThrow(/two reactions of the name thank-on-deposit/);
});
