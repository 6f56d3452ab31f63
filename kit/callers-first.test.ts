import { expect, onTestFinished, test } from 'vitest';
import { CallersFirst } from './callers-first.ts';

/** So many callers that wait until they are sent away, or the test ends. */
function crowd(callersFirst: CallersFirst, callers: number): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (let caller = 0; caller < callers; caller++) void callersFirst.answering(() => promise);
  onTestFinished(() => resolve());
  return resolve;
}

test.each([
  { callers: 0, isSaturated: true },
  { callers: 15, isSaturated: true },
  { callers: 16, isSaturated: false },
])(
  'work begins at once with $callers callers, where the process has no time: $isSaturated',
  ({ callers, isSaturated }) => {
    const callersFirst = new CallersFirst(() => isSaturated);
    crowd(callersFirst, callers);
    expect(callersFirst.afterCallers()).toBeUndefined();
  },
);

test('work begins later where many wait and the process has no time, in its order, and does not stand still', async () => {
  const callersFirst = new CallersFirst(() => true);
  const disperse = crowd(callersFirst, 16);
  const begun: number[] = [];
  const work = Array.from({ length: 20 }, async (_, number) => {
    await callersFirst.afterCallers();
    begun.push(number);
  });
  await Promise.resolve();
  expect(begun).toEqual([]);
  await work[0];
  expect(begun.length).toBeLessThan(20);
  disperse();
  await Promise.all(work);
  expect(begun).toEqual(Array.from({ length: 20 }, (_, number) => number));
  await expect.poll(() => callersFirst.afterCallers()).toBeUndefined();
});

test('what comes while others wait, waits behind them, though the crowd is gone', async () => {
  const callersFirst = new CallersFirst(() => true);
  const disperse = crowd(callersFirst, 16);
  const begun: string[] = [];
  const first = callersFirst.afterCallers()?.then(() => begun.push('first'));
  disperse();
  await Promise.resolve();
  const second = callersFirst.afterCallers()?.then(() => begun.push('second'));
  expect(second).toBeDefined();
  await Promise.all([first, second]);
  expect(begun).toEqual(['first', 'second']);
});

test('a call that fails is no caller that waits', async () => {
  const callersFirst = new CallersFirst(() => true);
  await expect(callersFirst.answering(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  crowd(callersFirst, 15);
  expect(callersFirst.areCrowding).toBe(false);
});
