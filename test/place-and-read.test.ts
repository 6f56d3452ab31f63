import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { bearer, platformProcess } from './platform.ts';

test('the two calls that npm start prints place an order and read it, and it is there once after kill -9', async () => {
  const platform = await platformProcess();
  const [place, read] = printedCalls(platform.output());

  const placed = JSON.parse(paste(place));
  expect(placed).toMatchObject({ version: '1', position: { stream: 'ORDERS' } });
  const order = JSON.parse(paste(read)).order;
  expect(order).toMatchObject({
    orderId: placed.orderId,
    status: 'ORDER_STATUS_PLACED',
    total: { currencyCode: 'EUR', units: '49' },
  });

  await platform.kill('SIGKILL');
  await platform.restart();

  expect(JSON.parse(paste(read)).order).toEqual(order);
  expect(JSON.parse(paste(place))).toEqual(placed);
  const { orders } = await list(platform.http);
  expect(orders).toEqual([order]);
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
