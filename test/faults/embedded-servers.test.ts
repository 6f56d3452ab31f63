import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { grpcAs, ordersOf, readiness } from '../clients.ts';
import { nothingFollows, platformProcess } from '../platform.ts';

/** The embedded server of a data directory whose command has this word, by its process. */
function serverOf(platform: { data: string }, word: string): number {
  const line = execFileSync('ps', ['-ww', '-eo', 'pid=,args='], { encoding: 'utf8' })
    .split('\n')
    .find((each) => each.includes(platform.data) && each.includes(word) && !/ sh -c/.test(each));
  expect(line, word).toBeDefined();
  return Number(line?.trim().split(' ')[0]);
}

test.each(['nats-server', 'mongo'])('%s that ends by itself is started again, and nothing is lost', async (word) => {
  const platform = await platformProcess(nothingFollows);
  const alice = ordersOf(await grpcAs(platform, 'alice'));
  const before = await alice.place();

  process.kill(serverOf(platform, word), 'SIGKILL');

  await expect.poll(() => platform.output()).toMatch(/the embedded (broker|database) is back/);
  await expect.poll(() => readiness(platform)).toBe(200);
  const after = await alice.place();
  expect(await alice.get(before.orderId, before.position)).toMatchObject({ version: 1n });
  expect(await alice.get(after.orderId, after.position)).toMatchObject({ version: 1n });
});
