import { expect, test } from 'vitest';
import { remembered } from './remembered.ts';

test('whoever asks at once, or while an answer is good, gets the same one; later it is asked for anew', async () => {
  let [time, asked] = [0, 0];
  const ask = remembered(
    async () => ++asked,
    1_000,
    () => time,
  );

  expect(await Promise.all([ask(), ask(), ask()])).toEqual([1, 1, 1]);
  time = 999;
  expect(await ask()).toBe(1);
  time = 1_000;
  expect(await Promise.all([ask(), ask()])).toEqual([2, 2]);
});

test('what fails is told to all who asked, and not remembered', async () => {
  let asked = 0;
  const ask = remembered(async () => {
    if (++asked === 1) throw new Error('away');
    return asked;
  }, 1_000);

  const both = await Promise.allSettled([ask(), ask()]);

  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await ask()).toBe(2);
});
