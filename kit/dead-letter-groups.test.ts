import { beforeAll, expect, test } from 'vitest';
import { allPartitions } from '#kit/partitions.ts';
import { type Bank, keysOfPartition, openBank } from '#kit/testing/reacting.ts';
import { ownNats } from '#kit/testing/servers.ts';
import { DeadLetterDesk } from './dead-letter-desk.ts';
import { letterGroups } from './dead-letter-groups.ts';
import { PermanentError, TransientError } from './errors.ts';

let url: string;

beforeAll(async () => {
  url = (await ownNats()).url;
});

const [a = '', b = '', c = '', d = ''] = keysOfPartition(3, 4);
const type = 'causeway.testing.v1.MoneyDeposited';

/** A bank that refuses 1, breaks at 2, and never manages 3; what it has parked. */
async function openParking() {
  const bank = await openBank(url);
  const consumer = bank.consumer(
    async ({ data: { amount } }) => {
      if (amount === 1n) throw new PermanentError('refused');
      if (amount === 2n) throw new Error('broken');
      if (amount === 3n) throw new TransientError('busy');
    },
    { maxAttempts: 2 },
  );
  await consumer.own(allPartitions);
  return { bank, name: consumer.name };
}

async function park(bank: Bank, key: string, ...amounts: number[]): Promise<void> {
  for (const amount of amounts) await bank.deposit(key, amount);
  await expect.poll(async () => (await bank.parked(key)).length).toBe(amounts.length);
}

test('keys are counted by consumer, and by reason and type of their first letter, with all that waits', async () => {
  const { bank, name } = await openParking();
  await park(bank, a, 1, 5, 6);
  await park(bank, b, 1);
  await park(bank, c, 2);
  await park(bank, d, 3, 3);
  const other = await openParking();
  await park(other.bank, a, 1);

  const groups = await letterGroups(bank.broker);

  const own = groups.filter(({ consumer }) => consumer === name);
  expect(own.map(({ oldestParkedAt: _, ...group }) => group)).toEqual([
    { consumer: name, reason: 'REFUSED', eventType: type, keys: 2, messages: 4, error: 'refused' },
    { consumer: name, reason: 'ATTEMPTS_EXHAUSTED', eventType: type, keys: 1, messages: 2, error: 'busy' },
    { consumer: name, reason: 'FAILED', eventType: type, keys: 1, messages: 1, error: 'broken' },
  ]);
  const [first] = await new DeadLetterDesk(bank.broker).rows({ consumer: name, key: a });
  expect(own[0]?.oldestParkedAt).toEqual(first?.first.parkedAt);
  expect(groups.find(({ consumer }) => consumer === other.name)).toMatchObject({ keys: 1, messages: 1 });
});

test('a group is of what the latest replay said, and what is gone is in none', async () => {
  const { bank, name } = await openParking();
  await park(bank, a, 1, 5);
  await park(bank, b, 2);
  const desk = new DeadLetterDesk(bank.broker);
  await desk.discard({ consumer: name, partition: 3, key: a }, { firstOnly: true });
  await desk.discard({ consumer: name, partition: 3, key: b }, { firstOnly: false });

  const own = (await letterGroups(bank.broker)).filter(({ consumer }) => consumer === name);

  expect(own).toMatchObject([{ reason: 'BEHIND_A_PARKED_MESSAGE', keys: 1, messages: 1 }]);
});

test('keys that there was no time to look at are counted all the same, for no reason that is known', async () => {
  const { bank, name } = await openParking();
  await park(bank, a, 1);
  await park(bank, b, 1, 5);

  const own = (await letterGroups(bank.broker, { lookMs: -1 })).filter(({ consumer }) => consumer === name);

  expect(own.map(({ reason, keys, messages }) => [reason, keys, messages])).toEqual([['', 2, 3]]);
});
