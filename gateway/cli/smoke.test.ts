import { beforeAll, expect, test } from 'vitest';
import { nothingFollows, testPlatform } from '../../test/platform.ts';
import { runCauseway } from './testing/run.ts';

let url: string;

beforeAll(async () => {
  // Who pays at the third try is in time, on a busy machine too.
  const platform = await testPlatform({ environment: { DEADLINE_PAYMENT: '6s' } });
  url = platform.http;
});

const smoke = (...words: string[]) => runCauseway(['smoke', '--url', url, ...words]);

test('orders of every outcome are seen to their end', async () => {
  const { status, stdout, stderr } = await smoke('--orders', '12', '--within', '45');

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
  const { http } = await testPlatform({ environment: nothingFollows });
  const { status, stdout, stderr } = await runCauseway([
    'smoke',
    '--url',
    http,
    '--orders',
    '1',
    '--within',
    '1',
    '--json',
  ]);

  expect(status).toBe(1);
  expect(stderr).toMatch(/DEADLINE_PAYMENT shorter than 20s, and than the 1s of --within.*\nnot all is as expected\n$/);
  expect(JSON.parse(stdout)).toContainEqual({
    title: 'shipped',
    orders: 1,
    expected: '1 completed',
    became: '1 not at its end',
    isAsExpected: false,
  });
});

test.each([
  [['--orders', 'many'], 'a number from 1 to 999999'],
  [['--within', '0'], 'a number of seconds'],
])('%s is refused in words', async (words, said) => {
  const refused = await smoke(...words);

  expect(refused).toMatchObject({ status: 1, stdout: '' });
  expect(refused.stderr).toContain(said);
});
