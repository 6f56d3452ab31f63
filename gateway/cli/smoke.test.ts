import { beforeAll, expect, test } from 'vitest';
import { testPlatform } from '../../test/platform.ts';
import { runCauseway } from './testing/run.ts';

let url: string;

beforeAll(async () => {
  const platform = await testPlatform({ environment: { DEADLINE_PAYMENT: '1s' } });
  url = platform.http;
});

const smoke = (...words: string[]) => runCauseway(['smoke', '--url', url, ...words]);

test('orders of every outcome are seen to their end', async () => {
  const { status, stdout, stderr } = await smoke('--orders', '12', '--within', '60');

  expect(stderr).toMatch(/\nall is as expected\n$/);
  expect(status).toBe(0);
  const cancelled = (reason: string) => expect.stringContaining(`cancelled ${reason}`);
  expect(stdout.split('\n')).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^shipped .*completed .*completed .*ok$/),
      cancelled('OUT_OF_STOCK'),
      cancelled('PAYMENT_DECLINED'),
      cancelled('PAYMENT_DEADLINE'),
      cancelled('ORDER_CANCELLED'),
    ]),
  );
});

test('what is not at its end in time is told, and ends with 1', async () => {
  const { status, stdout, stderr } = await smoke('--orders', '1', '--within', '1', '--json');

  expect(status).toBe(1);
  expect(stderr).toMatch(/not all is as expected\n$/);
  const shipped = { title: 'shipped', became: '1 completed', isAsExpected: true };
  const unanswered = { title: 'payment never answered', became: '1 not at its end', isAsExpected: false };
  expect(JSON.parse(stdout)).toEqual(
    expect.arrayContaining([expect.objectContaining(shipped), expect.objectContaining(unanswered)]),
  );
});

test.each([
  [['--orders', 'many'], 'a number from 1 to 999999'],
  [['--within', '0'], 'a number of seconds'],
])('%s is refused in words', async (words, said) => {
  const refused = await smoke(...words);

  expect(refused).toMatchObject({ status: 1, stdout: '' });
  expect(refused.stderr).toContain(said);
});
