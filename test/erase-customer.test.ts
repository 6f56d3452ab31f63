import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import { programEnvironment } from '#kit/testing/program-environment.ts';
import { atTheEnd, ownNats } from '#kit/testing/servers.ts';
import { fetchClient } from './interop/fetch-client.ts';
import { orderRequest } from './interop/order-client.ts';
import { bearer, type Doors, testPlatform } from './platform.ts';

const nats = await ownNats();
const [alice, bob] = [await bearer('alice'), await bearer('bob')];

/** As an operator does: `npm run causeway -- erase-customer ...`. */
async function erase(words: string[], environment: Record<string, string> = {}) {
  return promisify(execFile)(process.execPath, ['gateway/cli/main.ts', 'erase-customer', ...words], {
    cwd: new URL('..', import.meta.url),
    env: { ...programEnvironment(), NATS_URL: nats.url, ...environment },
  }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
}

/** What was said about an order up to its end, in every service: in a view that was built from their journals. */
async function told({ http }: Doors, authorization: string, orderId: string): Promise<Said[]> {
  const ask = async () => {
    const response = await fetch(`${http}/causeway.orders.v1.OrderService/GetOrderHistory`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization },
      body: JSON.stringify({ orderId }),
    });
    return ((await response.json()) as { events?: { type: string; data: Said }[] }).events ?? [];
  };
  const types = async () => (await ask()).map(({ type }) => type);
  const end = ['causeway.orders.v1.OrderCompleted', 'causeway.notifications.v1.EmailSent'];
  await expect.poll(types, { timeout: 10_000 }).toEqual(expect.arrayContaining(end));
  return (await ask()).map(({ data }) => data);
}

/** What an event says, as JSON. */
type Said = Record<string, unknown>;

/** Whether anything that was said tells who the customer is. */
function isNamed(said: readonly Said[], { email, shipTo }: ReturnType<typeof orderRequest>): boolean {
  const text = JSON.stringify(said);
  return [email, shipTo.name, shipTo.line1].some((each) => text.includes(each));
}

test('an erased customer is gone from the journal and from views built anew, and nobody else is', async () => {
  const request = { ...orderRequest(), customerId: 'alice' };
  const other = { ...orderRequest(), customerId: 'bob' };
  const before = await testPlatform({ nats });
  await fetchClient(before.http, alice).place(request);
  await fetchClient(before.http, bob).place(other);
  const [placed, ...followed] = await told(before, alice, request.orderId);
  expect(placed).toMatchObject({ email: request.email, shipTo: request.shipTo });
  expect(isNamed(followed, request)).toBe(true);
  await told(before, bob, other.orderId);
  await before.stop();

  expect(await erase(['--subject', 'alice'])).toEqual({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('Nothing was done: say --yes'),
  });
  const wrongKey = { PERSONAL_DATA_KEY: 'ab'.repeat(32) };
  expect(await erase(['--subject', 'alice', '--yes'], wrongKey)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('another master key'),
  });
  expect(await erase(['--subject', 'alcie', '--yes'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no key of customer alcie'),
  });
  expect(await erase(['--subject', 'alice', '--yes'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('destroyed 1 key of customer alice'),
    stderr: '',
  });
  expect(await erase(['--subject', 'alice', '--yes'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('was erased before'),
  });

  // On an empty database: every view is built anew.
  const after = await testPlatform({ nats });
  const erased = await told(after, alice, request.orderId);
  expect(erased.length).toBeGreaterThan(followed.length);
  expect(erased[0]).toMatchObject({ orderId: request.orderId, customerId: 'alice', paymentMethod: 'pm_ok' });
  expect(erased[0]).not.toHaveProperty('email');
  expect(isNamed(erased, request)).toBe(false);
  const [others] = await told(after, bob, other.orderId);
  expect(others).toMatchObject({ email: other.email, shipTo: other.shipTo });
});

test('a broker that has no keys gets none by a customer being erased there', async () => {
  const empty = await ownNats();

  expect(await erase(['--subject', 'alice', '--yes'], { NATS_URL: empty.url })).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("there are no customers' keys at NATS_URL"),
  });

  const connection = await connect({ servers: empty.url });
  atTheEnd(() => connection.close());
  expect((await (await jetstreamManager(connection)).getAccountInfo()).streams).toBe(0);
});
