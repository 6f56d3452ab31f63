import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { bearer, platformProcess } from './platform.ts';

const platform = await platformProcess({ CARRIER_DELIVERS_AFTER: '1s' });

test('the two calls that npm start prints place an order and read it, and it is completed, once, after kill -9', async () => {
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
  const { orders } = await call('ListOrders', {});
  expect(orders).toMatchObject([order]);
});

test('an order is as many messages as docs/messages.md says, from those that it says', async () => {
  const { orderId } = await call('PlaceOrder', { request_id: randomUUID(), ...basket, payment_method: 'pm_ok' });
  const declined = await call('PlaceOrder', { request_id: randomUUID(), ...basket, payment_method: 'pm_declined' });
  const soldOut = { ...basket, lines: [{ sku: 'sold-out', quantity: 1 }] };
  const rejected = await call('PlaceOrder', { request_id: randomUUID(), ...soldOut, payment_method: 'pm_ok' });
  const page = readFileSync(new URL('../docs/messages.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| \d+ \| `(\w+)` \| `(\w+)` \| (\w+) \|/gm)];
  const said = rows.map(([, stream, event, service]) => `${stream}: ${event} by ${service}`).sort();

  expect(said).toHaveLength(18);
  await expect.poll(() => messagesOf(orderId), { timeout: 20_000 }).toEqual(said);
  await expect.poll(() => messagesOf(declined.orderId), { timeout: 20_000 }).toHaveLength(11);
  await expect.poll(() => messagesOf(rejected.orderId), { timeout: 20_000 }).toHaveLength(7);
});

const basket = {
  lines: [{ sku: 'coffee-beans', quantity: 1 }],
  email: 'alice@example.com',
  ship_to: { name: 'Alice', line1: '1 Road', city: 'Galway', postal_code: 'H91', country_code: 'IE' },
};

/** Whose doing it is where it is not a service's own. */
const services: Record<string, string> = { alice: 'orders', carrier: 'shipping' };

/** What stands in the order's history: stream, type and the service that said it. */
async function messagesOf(orderId: string): Promise<string[]> {
  const { events = [] } = await call('GetOrderHistory', { order_id: orderId });
  return events
    .map(({ type, actor, position }) => {
      const name = type.split('.').at(-1);
      return `${position.stream}: ${name} by ${services[actor] ?? actor}`;
    })
    .sort();
}

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

type Answer = {
  orderId: string;
  orders: unknown[];
  events?: { type: string; actor: string; position: { stream: string } }[];
};

async function call(method: string, request: object): Promise<Answer> {
  const response = await fetch(`${platform.http}/causeway.orders.v1.OrderService/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: await bearer('alice') },
    body: JSON.stringify(request),
  });
  return (await response.json()) as Answer;
}
