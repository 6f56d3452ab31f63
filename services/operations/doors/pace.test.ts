import { expect, test } from 'vitest';
import { paceOf } from './pace.ts';

const { signal } = new AbortController();

/** A clock that goes on where somebody waits, and by so much for each that begins. */
function clock(takesMs = 0) {
  const began: number[] = [];
  let time = 1_000;
  const parts = {
    now: () => time,
    wait: async (durationMs: number) => {
      time += durationMs;
    },
  };
  async function begin(perSecond: number, count: number): Promise<number[]> {
    const pace = paceOf(perSecond, parts);
    for (let number = 0; number < count; number++) {
      await pace(signal);
      began.push(time - 1_000);
      time += takesMs;
    }
    return began;
  }
  return { begin };
}

test('so many begin in a second, evenly, the first at once', async () => {
  expect(await clock().begin(4, 5)).toEqual([0, 250, 500, 750, 1_000]);
  expect(await clock(100).begin(4, 3)).toEqual([0, 250, 500]);
});

test('what takes longer is not waited for again, nor made up for', async () => {
  expect(await clock(400).begin(4, 3)).toEqual([0, 400, 800]);
});

test('without a pace nobody waits', async () => {
  expect(await clock().begin(0, 3)).toEqual([0, 0, 0]);
});

test('who does not want to wait any longer does not', async () => {
  const end = new AbortController();
  const pace = paceOf(0.001);
  await pace(end.signal);
  const waiting = pace(end.signal);
  end.abort();
  await waiting;
});
