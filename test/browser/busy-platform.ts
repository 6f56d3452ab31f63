import { setTimeout as delay } from 'node:timers/promises';
import {
  type OrderCompleted,
  OrderCompletedSchema,
  type OrderConfirmed,
  OrderConfirmedSchema,
  type OrderPlaced,
  OrderPlacedSchema,
  type OrderShipped,
  OrderShippedSchema,
} from '#gen/causeway/orders/v1/events_pb.js';
import { KeyedConsumer } from '#kit/consumer.ts';
import { PermanentError } from '#kit/errors.ts';
import { EventTypes } from '#kit/event.ts';
import { OwnedWork } from '#kit/owned-work.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { journalOf } from '#kit/streams.ts';
import { atTheEnd } from '#kit/testing/servers.ts';
import type { ordersOf } from '../clients.ts';

/** What customers order and how they pay, each as often as it stands here. */
const habits = [
  ...Array(14).fill({ sku: 'coffee-beans', paymentMethod: 'pm_ok' }),
  ...Array(6).fill({ sku: 'espresso-cup', paymentMethod: 'pm_ok' }),
  ...Array(4).fill({ sku: 'grinder', paymentMethod: 'pm_ok' }),
  ...Array(3).fill({ sku: 'espresso-cup', paymentMethod: 'pm_flaky' }),
  ...Array(2).fill({ sku: 'grinder', paymentMethod: 'pm_declined' }),
  { sku: 'grinder', paymentMethod: 'pm_insufficient_funds' },
  { sku: 'sold-out', paymentMethod: 'pm_ok' },
  { sku: 'coffee-beans', paymentMethod: 'pm_never' },
] as { sku: string; paymentMethod: string }[];

const people = [
  { name: 'Alice Adams', city: 'Galway', postalCode: 'H91 XY12', countryCode: 'IE' },
  { name: 'Bruno Costa', city: 'Porto', postalCode: '4050-065', countryCode: 'PT' },
  { name: 'Chiara Rossi', city: 'Bologna', postalCode: '40121', countryCode: 'IT' },
  { name: 'Dagny Berg', city: 'Bergen', postalCode: '5003', countryCode: 'NO' },
  { name: 'Emre Aydin', city: 'Izmir', postalCode: '35210', countryCode: 'TR' },
  { name: 'Fatou Diallo', city: 'Dakar', postalCode: '10200', countryCode: 'SN' },
  { name: 'Greta Holm', city: 'Aarhus', postalCode: '8000', countryCode: 'DK' },
];

/** An order of one of several customers, who are never the same twice in a row. */
export function orderOf(number: number, fields: { sku: string; quantity?: number; paymentMethod: string }) {
  const address = people[number % people.length];
  const customerId = (address?.name.split(' ')[0] ?? '').toLowerCase();
  return {
    customerId,
    email: `${customerId}@example.com`,
    paymentMethod: fields.paymentMethod,
    lines: [{ sku: fields.sku, quantity: fields.quantity ?? 1 + (number % 3) }],
    shipTo: { ...address, line1: '1 Harbour Road' },
  };
}

/** Places orders of each outcome until told to stop: now more, now fewer. @param perSecond on average. */
export async function keepOrdering(
  orders: ReturnType<typeof ordersOf>,
  perSecond: number,
  until: AbortSignal,
): Promise<void> {
  const usual = { sku: 'coffee-beans', paymentMethod: 'pm_ok' };
  for (let number = 0; !until.aborted; number++) {
    // A step that shares no divisor with their number comes by all of them.
    const { orderId } = await orders.place(orderOf(number, habits[(number * 7) % habits.length] ?? usual));
    if (number % 40 === 39) await orders.cancel(orderId).catch(() => {});
    const tide = 1 + 0.6 * Math.sin(number / 60);
    await delay(1_000 / (perSecond * tide));
  }
}

type OrderEvent = OrderPlaced | OrderConfirmed | OrderShipped | OrderCompleted;

/** More in one order than the accounts of the loyalty service can hold. */
const MOST_POINTS = 40;

/** A service that somebody has added: it gives points for orders, and has given up on the largest. */
export async function addLoyalty(parts: ServiceParts): Promise<void> {
  const consumer = new KeyedConsumer<OrderEvent>(
    {
      name: 'give-points',
      sources: [{ journal: journalOf('orders'), aggregate: 'order' }],
      begins: 'with-the-first-event',
      types: new EventTypes([OrderPlacedSchema, OrderConfirmedSchema, OrderShippedSchema, OrderCompletedSchema]),
      async handle({ data }) {
        const pieces = 'lines' in data ? data.lines.reduce((sum, { quantity }) => sum + quantity, 0) : 0;
        if (pieces > MOST_POINTS) throw new PermanentError(`${pieces} pieces: more points than an account can hold`);
      },
    },
    { ...parts, service: 'loyalty' },
  );
  const work = new OwnedWork([consumer], [], { ...parts, service: 'loyalty' });
  atTheEnd(() => work.stop());
  await work.start();
}
