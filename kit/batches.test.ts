import { expect, test } from 'vitest';
import { Batches } from './batches.ts';
import { UnavailableError } from './errors.ts';

/** Batches that note what they were given, each held until the test lets it go. */
function held(fails: (items: readonly string[]) => Error | undefined = () => undefined) {
  const seen: string[][] = [];
  const releases: (() => void)[] = [];
  const batches = new Batches<string, string>(
    async (items) => {
      seen.push([...items]);
      await new Promise<void>((resolve) => releases.push(resolve));
      const error = fails(items);
      if (error !== undefined) throw error;
      return items.map((item) => item.toUpperCase());
    },
    { maxItems: 3, keyOf: (item) => item[0] ?? '' },
  );
  const release = async () => {
    await expect.poll(() => releases.length).toBeGreaterThan(0);
    releases.shift()?.();
  };
  return { batches, seen, release };
}

test('what comes while a batch is at work goes together with the next, and each has its own answer', async () => {
  const { batches, seen, release } = held();

  const first = [batches.add('a'), batches.add('b')];
  await expect.poll(() => seen.length).toBe(1);
  const second = ['c', 'd', 'e', 'f'].map((item) => batches.add(item));
  for (let batch = 0; batch < 3; batch++) await release();

  expect(await Promise.all([...first, ...second])).toEqual(['A', 'B', 'C', 'D', 'E', 'F']);
  expect(seen).toEqual([['a', 'b'], ['c', 'd', 'e'], ['f']]);
  await batches.settled();
});

test('two of one key are in two batches, in their order, and so is what comes behind them', async () => {
  const { batches, seen, release } = held();

  const all = ['a1', 'b1', 'a2', 'a3', 'b2'].map((item) => batches.add(item));
  for (let batch = 0; batch < 3; batch++) await release();
  await Promise.all(all);

  expect(seen).toEqual([['a1', 'b1'], ['a2', 'b2'], ['a3']]);
});

test('one that can not be done fails alone', async () => {
  const { batches, release } = held((items) => (items.includes('b') ? new Error('b is bad') : undefined));

  const all = Promise.allSettled(['a', 'b', 'c'].map((item) => batches.add(item)));
  for (let batch = 0; batch < 4; batch++) await release();

  expect((await all).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('where something is away nothing is tried one by one', async () => {
  const { batches, seen, release } = held(() => new UnavailableError('away'));

  const all = Promise.allSettled(['a', 'b'].map((item) => batches.add(item)));
  await release();

  expect((await all).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(seen).toEqual([['a', 'b']]);
});
