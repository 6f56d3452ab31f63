import { duration } from '#kit/settings.ts';

/** How long a fulfilment waits for each answer before it undoes what was done. */
export const fulfilmentSettings = {
  stockDeadlineMs: duration('DEADLINE_STOCK', '60s', 'how long a fulfilment waits for stock before it undoes'),
  paymentDeadlineMs: duration('DEADLINE_PAYMENT', '15m', 'the same for the payment to be authorised'),
  shipmentDeadlineMs: duration('DEADLINE_SHIPMENT', '24h', 'the same for the goods to be handed to the carrier'),
};
