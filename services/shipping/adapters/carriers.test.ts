import { describe, expect, test } from 'vitest';
import type { Carrier, Consignment } from '../domain/carrier.ts';
import { simulatedCarrier } from './simulated-carrier.ts';

const { signal } = new AbortController();

const consignment = (orderId: string): Consignment => ({
  orderId,
  lines: [{ sku: 'coffee-beans', quantity: 2 }],
  shipTo: { name: 'Alice', line1: '1 Main St', line2: '', city: 'Cork', postalCode: 'T12', countryCode: 'IE' },
});

/** What shipping relies on, whoever the carrier is. */
describe.each<Carrier>([simulatedCarrier])('$name', (carrier) => {
  test('gives the same tracking number for the same order, and each order another', async () => {
    const orders = Array.from({ length: 50 }, (_, number) => `order-${number}`);
    const book = async (orderId: string) => {
      const booked = await carrier.book(consignment(orderId), signal);
      return booked.result === 'booked' ? booked.trackingNumber : booked.reason;
    };

    const first = await Promise.all(orders.map(book));

    expect(await Promise.all(orders.map(book))).toEqual(first);
    expect(new Set(first).size).toBe(50);
    for (const trackingNumber of first) expect(trackingNumber).toMatch(/^[A-Z0-9]{6,30}$/);
  });

  test('takes a booking back, also where there is none', async () => {
    await carrier.book(consignment('order-1'), signal);

    await carrier.cancel('order-1', signal);
    await carrier.cancel('order-1', signal);
    await carrier.cancel('never-booked', signal);
  });
});
