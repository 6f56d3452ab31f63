import { setImmediate as turn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { afterCallers, answering } from './callers-first.ts';

/** So many callers that wait until the test ends. */
function crowd(callers: number): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (let caller = 0; caller < callers; caller++) void answering(() => promise);
  onTestFinished(() => resolve());
  return resolve;
}

/** Has the event loop at work for so long, in pieces. */
async function toil(durationMs: number): Promise<void> {
  const until = performance.now() + durationMs;
  while (performance.now() < until) {
    const piece = performance.now() + 10;
    while (performance.now() < piece);
    await turn();
  }
}

/** Whether work may begin now; asked as often as it takes to know how busy the process is. */
async function mayBegin(): Promise<boolean> {
  let answer: Promise<void> | undefined;
  for (let look = 0; look < 5; look++) {
    answer = afterCallers();
    await answer;
    await toil(60);
  }
  return answer === undefined;
}

test('work begins at once where nobody waits, however busy the process is', async () => {
  expect(await mayBegin()).toBe(true);
});

test('work begins at once where a few wait, or many and the process has time', async () => {
  crowd(15);
  expect(await mayBegin()).toBe(true);
  crowd(1);
  for (let look = 0; look < 20; look++) {
    expect(afterCallers()).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
});

test('work begins later where many wait and the process has no time, in its order, and does not stand still', async () => {
  const disperse = crowd(16);
  expect(await mayBegin()).toBe(false);
  const begun: number[] = [];
  const work = Array.from({ length: 20 }, async (_, number) => {
    await afterCallers();
    begun.push(number);
  });
  await turn();
  expect(begun).toEqual([]);
  while (begun.length === 0) await toil(20);
  expect(begun.length).toBeLessThan(20);
  disperse();
  await Promise.all(work);
  expect(begun).toEqual(Array.from({ length: 20 }, (_, number) => number));
});
