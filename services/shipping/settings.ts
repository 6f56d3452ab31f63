import { duration } from '#kit/settings.ts';

/** How the simulated carrier behaves. */
export const shippingSettings = {
  carrierDeliversAfterMs: duration(
    'CARRIER_DELIVERS_AFTER',
    '30s',
    'when the simulated carrier delivers a shipment; `0s`: never, an operator confirms it',
  ),
};
