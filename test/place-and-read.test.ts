import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { bearer, platformProcess } from './platform.ts';

test('the two calls that npm start prints place an order and read it, and it is completed, once, after kill -9', async () => {
  const platform = await platformProcess();
  const [place, read] = printedCalls(platform.output());

  const placed = JSON.parse(paste(place));
  expect(placed).toMatchObject({ version: '1', position: { stream: 'ORDERS' } });
  const order = { orderId: placed.orderId, total: { currencyCode: 'EUR', units: '49' } };
  expect(JSON.parse(paste(read)).order).toMatchObject(order);

  await platform.kill('SIGKILL');
  await platform.restart();

  const statusNow = () => JSON.parse(paste(read)).order.status;
  await expect.poll(statusNow, { timeout: 20_000 }).toBe('ORDER_STATUS_COMPLETED');
  // The same call again is the same order, which has come further since.
  expect(JSON.parse(paste(place))).toMatchObject({ orderId: placed.orderId, version: placed.version });
  const { orders } = await list(platform.http);
  expect(orders).toMatchObject([order]);
});

/** The calls as they stand on the screen, from their command to the end of what is pasted. */
function printedCalls(output: string): [string, string] {
  const calls = output.split('\n\n').filter((part) => /^(curl|npx buf curl) /.test(part));
  expect(calls).toHaveLength(2);
  return [calls[0] ?? '', calls[1] ?? ''];
}

function paste(command: string): string {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], {
    cwd: new URL('..', import.meta.url),
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  return stdout;
}

async function list(http: string) {
  const response = await fetch(`${http}/causeway.orders.v1.OrderService/ListOrders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: await bearer('alice') },
    body: '{}',
  });
  return (await response.json()) as { orders: unknown[] };
}
