import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Doors } from '../platform.ts';
import { KNOWN_ORDER } from './messages.ts';

const COMPLETES_WITHIN_MS = 120_000;

const anOrder = {
  lines: [{ sku: 'coffee-beans', quantity: 1 }],
  email: 'fuzz@example.org',
  paymentMethod: 'pm_ok',
  shipTo: { name: 'Fuzz', line1: '1 Road', city: 'Delft', postalCode: '2611', countryCode: 'NL' },
};

/** The order that cases speak of. */
export async function placeKnownOrder(doors: Doors, token: string): Promise<void> {
  await call(doors, token, 'PlaceOrder', { ...anOrder, orderId: KNOWN_ORDER });
}

/** Places an order as anybody does, and waits until it is completed. @throws Error where it is not in time. */
export async function completesAnOrder(doors: Doors, token: string): Promise<void> {
  const orderId = randomUUID();
  await call(doors, token, 'PlaceOrder', { ...anOrder, orderId });
  const latest = performance.now() + COMPLETES_WITHIN_MS;
  for (;;) {
    const { order } = (await call(doors, token, 'GetOrder', { orderId })) as { order?: { status: string } };
    if (order?.status === 'ORDER_STATUS_COMPLETED') return;
    if (performance.now() > latest) throw new Error(`it is ${order?.status}`);
    await delay(100);
  }
}

async function call({ http }: Doors, token: string, method: string, request: object): Promise<unknown> {
  const response = await fetch(`${http}/causeway.orders.v1.OrderService/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify(request),
  });
  if (!response.ok && response.status !== 404)
    throw new Error(`${method}: ${response.status} ${await response.text()}`);
  return response.json();
}
