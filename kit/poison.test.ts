import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Bank, keysOfPartition, noting, openBank, ownConnection } from '#kit/testing/reacting.ts';
import { ownNats } from '#kit/testing/servers.ts';
import { DeadLetterDesk } from './dead-letter-desk.ts';
import { UnavailableError } from './errors.ts';
import { Parking } from './parking.ts';
import { Claim } from './poison.ts';

let url: string;

beforeAll(async () => {
  url = (await ownNats()).url;
});

const [a = '', b = '', c = ''] = keysOfPartition(3, 3);
const fragile = fileURLToPath(new URL('./testing/fragile-consumer.ts', import.meta.url));

/** A process of its own that consumes partition 3 and dies of one amount. */
function startProcess({ service }: Bank, deadly: number, ending: 'exit' | 'SIGKILL') {
  const child = spawn(process.execPath, [fragile, url, service, '3', String(deadly), ending], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let said = '';
  child.stdout.on('data', (bytes) => {
    said += bytes;
  });
  return { ended: once(child, 'exit'), amounts: () => said.split('\n').filter(Boolean).map(Number), child };
}

test.each(['exit', 'SIGKILL'] as const)(
  'a message of which the process dies (%s) is found and parked; all others are handled',
  async (ending) => {
    const bank = await openBank(url);
    await bank.deposit(a, 1);
    const deadly = await bank.deposit(b, 13);
    await bank.deposit(b, 14);
    for (let amount = 20; amount < 40; amount++) await bank.deposit(c, amount);
    const handled = new Set<number>();
    let deaths = 0;
    let running = startProcess(bank, 13, ending);
    for (;;) {
      const parked = expect.poll(async () => (await bank.parked(b)).length, { timeout: 20_000 }).toBe(2);
      const outcome = await Promise.race([running.ended.then(() => 'died'), parked.then(() => 'parked')]);
      if (outcome === 'parked') break;
      for (const amount of running.amounts()) handled.add(amount);
      deaths++;
      running = startProcess(bank, 13, ending);
    }
    await expect.poll(() => new Set([...handled, ...running.amounts()]).size, { timeout: 10_000 }).toBe(21);
    running.child.kill('SIGKILL');
    expect(deaths).toBe(4);
    expect(await bank.parked(b)).toEqual([
      { sequence: deadly, reason: 'KILLED_THE_PROCESS', attempts: 3 },
      { sequence: deadly + 1, reason: 'BEHIND_A_PARKED_MESSAGE', attempts: 0 },
    ]);
  },
);

test('a replay that kills the process is not begun again: what was handled is gone, the rest is found parked', async () => {
  const bank = await openBank(url);
  const parking = await Parking.open(bank.broker, `${bank.service}-thank-on-deposit`, 3);
  for (const amount of [1, 2, 13, 4]) {
    const stored = await bank.journal.at(await bank.deposit(b, amount));
    if (stored === undefined) throw new Error('nothing stored');
    await parking.park(stored, { reason: 'KILLED_THE_PROCESS', error: 'it died', attempts: 3 });
  }
  const row = { consumer: `${bank.service}-thank-on-deposit`, partition: 3, key: b };
  const desk = new DeadLetterDesk(bank.broker);
  const first = startProcess(bank, 13, 'SIGKILL');
  await bank.deposit(c, 20);
  await expect.poll(first.amounts, { timeout: 10_000 }).toEqual([20]);
  const dead = new AbortController();
  void first.ended.then(() => dead.abort());
  await expect(desk.replay(row, { signal: dead.signal })).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(first.amounts()).toEqual([20, 1, 2]);
  expect(await bank.parked(b)).toMatchObject([{ sequence: 3 }, { sequence: 4 }]);

  const second = startProcess(bank, 13, 'SIGKILL');
  await bank.deposit(b, 5);
  await bank.deposit(c, 21);
  await expect.poll(second.amounts, { timeout: 10_000 }).toContain(21);
  await expect.poll(async () => (await bank.parked(b)).length).toBe(3);
  expect(second.amounts()).not.toContain(5);
  second.child.kill('SIGKILL');
  await second.ended;

  const mended = noting();
  await bank.consumer(mended.handle).own([3]);
  await expect.poll(() => desk.replay(row).catch(() => undefined), { timeout: 10_000 }).toMatchObject({ handled: 3 });
  expect(mended.of(b)).toEqual([13, 4, 5]);
  await bank.deposit(b, 6);
  await expect.poll(() => mended.of(b)).toEqual([13, 4, 5, 6]);
});

test('the first owner is not cautious, one that finds the last where it began is, up to what was handed out', async () => {
  const broker = await ownConnection(url);
  const first = await Claim.take(broker, 'one', { floor: 10, delivered: 10 });
  expect([11, 12].map((sequence) => first.isSuspect(sequence))).toEqual([false, false]);
  const second = await Claim.take(broker, 'one', { floor: 10, delivered: 12 });
  expect([11, 12, 13].map((sequence) => second.isSuspect(sequence))).toEqual([true, true, false]);
  const third = await Claim.take(broker, 'one', { floor: 11, delivered: 12 });
  expect(third.isSuspect(12)).toBe(false);
});

test('an owner that stops in order raises no suspicion', async () => {
  const broker = await ownConnection(url);
  for (let owner = 0; owner < 5; owner++) {
    const claim = await Claim.take(broker, 'two', { floor: 10, delivered: 20 });
    expect(claim.isSuspect(11)).toBe(false);
    await claim.release();
  }
});

test('a consumer that drains and stops leaves no suspicion behind, one that is killed does', async () => {
  const bank = await openBank(url);
  const standing = { floor: 0, delivered: 1 };
  const name = `${bank.service}-thank-on-deposit-3`;
  const doomed = await ownConnection(url);
  const consumer = bank.consumer(noting().handle);
  await consumer.own([3]);
  await expect.poll(() => consumer.health().ready).toBe(true);
  await consumer.stop();
  expect((await Claim.take(bank.broker, name, standing)).isSuspect(1)).toBe(false);
  const killed = bank.consumer(noting().handle, { broker: doomed });
  await killed.own([3]);
  await expect.poll(() => killed.health().ready).toBe(true);
  await doomed.close();
  expect((await Claim.take(bank.broker, name, standing)).isSuspect(1)).toBe(true);
});

test('only a message that was started three times and never ended kills', async () => {
  const broker = await ownConnection(url);
  const take = () => Claim.take(broker, 'three', { floor: 10, delivered: 20 });
  await take();
  for (const starts of [1, 2, 3]) {
    const claim = await take();
    expect(claim.kills(11)).toBeUndefined();
    await claim.starting(11);
    await claim.ended(11);
    await claim.starting(12);
    if (starts < 3) expect((await take()).kills(12)).toBeUndefined();
  }
  const last = await take();
  expect(last.kills(12)).toBe(3);
  expect(last.kills(11)).toBeUndefined();
});

test('suspicion of a message outlives progress of those before it', async () => {
  const broker = await ownConnection(url);
  await Claim.take(broker, 'four', { floor: 10, delivered: 20 });
  const second = await Claim.take(broker, 'four', { floor: 10, delivered: 20 });
  await second.starting(12);
  const third = await Claim.take(broker, 'four', { floor: 11, delivered: 14 });
  expect([12, 20, 21].map((sequence) => third.isSuspect(sequence))).toEqual([true, true, false]);
});

test('a suspect that only waits for what is away is never parked', async () => {
  const bank = await openBank(url);
  const name = `${bank.service}-thank-on-deposit-3`;
  await Claim.take(bank.broker, name, { floor: 0, delivered: 1 });
  await bank.deposit(a, 1);
  let tries = 0;
  const noted = noting(() => {
    if (++tries < 5) throw new UnavailableError('away');
  });
  await bank.consumer(noted.handle).own([3]);
  await expect.poll(() => tries, { timeout: 10_000 }).toBe(5);
  expect(await bank.parked(a)).toEqual([]);
});
