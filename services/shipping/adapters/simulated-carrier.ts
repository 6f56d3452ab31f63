import { hash } from 'node:crypto';
import type { Carrier } from '../domain/carrier.ts';

/** Takes everything at once and remembers nothing: a tracking number is made from the order id. */
export const simulatedCarrier: Carrier = {
  name: 'Simulated Carrier',
  async book({ orderId }) {
    return { result: 'booked', trackingNumber: `SIM${hash('sha256', orderId).slice(0, 12).toUpperCase()}` };
  },
  async cancel() {},
};
