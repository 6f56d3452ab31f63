import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { correlationOf } from './event.ts';
import { type LogCursor, type LogFilter, searchLog } from './log-search.ts';
import { type Bank, openBank } from './testing/reacting.ts';
import { ownNats } from './testing/servers.ts';

const nats = await ownNats();

const limits = { count: 20, bytes: 1_000_000, searchMs: 5_000, signal: new AbortController().signal };

/** Two banks, whose journals are looked through together. */
async function openBanks() {
  const banks = await Promise.all([openBank(nats.url), openBank(nats.url)]);
  const streams = banks.map(({ journal }) => journal.stream);
  const said: string[] = [];

  /** Deposits this in the banks in turn. */
  async function deposit(key: string, count = 1): Promise<void> {
    for (let number = 0; number < count; number++) {
      const bank = banks[said.length % 2] as Bank;
      const sequence = await bank.deposit(key, said.length);
      said.push(`${bank.journal.stream} ${sequence}`);
    }
  }

  /** What is found on each page, until there is no other. */
  async function pages(filter: LogFilter, count: number, between = async () => {}): Promise<string[][]> {
    const found: string[][] = [];
    for (let after: LogCursor | undefined; found.length < 200; ) {
      const page = await searchLog(banks[0].broker, { streams, ...filter }, after, { ...limits, count });
      found.push(page.found.map(({ stream, sequence }) => `${stream} ${sequence}`));
      if (page.next.size === 0) break;
      after = page.next;
      await between();
    }
    return found;
  }
  return { banks, broker: banks[0].broker, streams, said, deposit, pages };
}

test('everything is found, the newest first over all journals, on pages of any size, each once', async () => {
  const { said, deposit, pages } = await openBanks();
  await deposit('anna', 301);

  for (const count of [7, 100, 1_000]) {
    const found = await pages({}, count);
    expect(found.flat()).toEqual(said.toReversed());
    expect(found[0]).toHaveLength(Math.min(count, 301));
  }
});

test('a journal that holds nothing yet keeps nothing of the others from being found', async () => {
  const { said, deposit, pages } = await openBanks();
  expect((await pages({}, 10)).flat()).toEqual([]);
  await deposit('anna');
  expect((await pages({}, 10)).flat()).toEqual(said);
});

test('what is stored while somebody turns pages is on none of the later ones, and pushes none out', async () => {
  const { said, deposit, pages } = await openBanks();
  await deposit('anna', 30);
  const before = said.toReversed();

  const found = await pages({}, 4, () => deposit('anna', 2));

  expect(found.flat()).toEqual(before);
});

test('what is looked for by key, aggregate or what it says of itself is found, and nothing else', async () => {
  const { banks, broker, streams, said, deposit, pages } = await openBanks();
  await deposit('anna', 40);
  await deposit('bert', 2);
  await deposit('anna', 400);
  const berts = said.slice(40, 42).toReversed();

  expect((await pages({ key: 'bert' }, 10)).flat()).toEqual(berts);
  expect((await pages({ key: 'bert', aggregate: 'account' }, 1)).flat()).toEqual(berts);
  expect((await pages({ key: 'bert', aggregate: 'loan' }, 10)).flat()).toEqual([]);
  expect((await pages({ aggregate: 'account' }, 1_000)).flat()).toHaveLength(442);
  const matches = (message: Parameters<typeof correlationOf>[0]) => correlationOf(message) === 'correlation of bert';
  expect((await pages({ matches }, 10)).flat()).toEqual(berts);
  const [stream = ''] = streams;
  expect((await pages({ key: 'bert', streams: [stream] }, 10)).flat()).toEqual([`${stream} 21`]);
  const byKey = await searchLog(broker, { streams, key: 'bert' }, undefined, limits);
  expect(byKey.scanned).toBe(2);
  expect(byKey.searchedBackTo).toBeUndefined();
  expect(banks).toHaveLength(2);
});

test('what was stored between two times is found without looking at the rest', async () => {
  const { broker, streams, said, deposit, pages } = await openBanks();
  await deposit('anna', 100);
  const from = await aMomentLater();
  await deposit('bert', 10);
  const until = await aMomentLater();
  await deposit('anna', 100);

  expect((await pages({ from, until }, 3)).flat()).toEqual(said.slice(100, 110).toReversed());
  expect((await pages({ until }, 1_000)).flat()).toHaveLength(110);
  expect((await pages({ from }, 1_000)).flat()).toHaveLength(110);
  expect((await pages({ from: new Date(Date.now() + 60_000) }, 1_000)).flat()).toEqual([]);
  expect((await searchLog(broker, { streams, from, until }, undefined, limits)).scanned).toBe(10);
});

test('a search that has no more time says how far it came, and goes on there', async () => {
  const { broker, streams, said, deposit } = await openBanks();
  await deposit('bert');
  await deposit('anna', 1_999);
  const matches = (message: Parameters<typeof correlationOf>[0]) => correlationOf(message) === 'correlation of bert';

  const found: string[] = [];
  let pages = 0;
  let lookedBackTo = new Date(Date.now() + 1_000);
  for (let after: LogCursor | undefined; after === undefined || after.size > 0; pages++) {
    const page = await searchLog(broker, { streams, matches }, after, { ...limits, searchMs: 0 });
    found.push(...page.found.map(({ stream, sequence }) => `${stream} ${sequence}`));
    if (page.next.size > 0) {
      expect(page.searchedBackTo?.getTime()).toBeLessThanOrEqual(lookedBackTo.getTime());
      lookedBackTo = page.searchedBackTo ?? lookedBackTo;
    }
    after = page.next;
  }

  expect(found).toEqual(said.slice(0, 1));
  expect(pages).toBeGreaterThan(2);
});

test('a search that has met with nothing yet says how far it came, too', async () => {
  const { banks, broker, streams, deposit } = await openBanks();
  const [stream = ''] = streams;
  await deposit('bert');
  await Promise.all(Array.from({ length: 200 }, () => banks[0].deposit('anna', 1)));
  await deposit('bert', 2);
  const filter = { streams: [stream], key: 'bert' };
  const first = await searchLog(broker, filter, undefined, { ...limits, count: 1 });

  const page = await searchLog(broker, filter, first.next, { ...limits, searchMs: 0 });

  expect(page.found).toEqual([]);
  expect(page.searchedBackTo?.getTime()).toBeLessThanOrEqual(Date.now());
});

test('a page of large messages ends before it is too large', async () => {
  const { banks, said, deposit, broker, streams } = await openBanks();
  await deposit('anna', 2);
  const large = await Promise.all(
    Array.from({ length: 3 }, () => banks[0].raw(`large-${randomUUID()}`, Buffer.alloc(200_000))),
  );

  const first = await searchLog(broker, { streams }, undefined, { ...limits, bytes: 500_000 });
  const second = await searchLog(broker, { streams }, first.next, { ...limits, bytes: 500_000 });

  expect(first.found).toHaveLength(2);
  expect([...first.found, ...second.found].map(({ sequence }) => sequence)).toEqual([
    ...large.toSorted((one, other) => other - one),
    1,
    1,
  ]);
  expect(said).toHaveLength(2);
});

/** A time after all that was stored so far, and before what comes next. */
async function aMomentLater(): Promise<Date> {
  const time = Date.now() + 2;
  await expect.poll(() => Date.now(), { interval: 1 }).toBeGreaterThan(time);
  return new Date(time);
}
