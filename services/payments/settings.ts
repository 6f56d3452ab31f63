import { secret, url } from '#kit/settings.ts';

/** Which provider takes the money. */
export const paymentsSettings = {
  stripeApiKey: secret('STRIPE_API_KEY', 'payments go through Stripe, with this key', 'unset: the sandbox provider'),
  stripeApiBase: url('STRIPE_API_BASE', ['https', 'http'], "Stripe's address, where it is another than its own"),
};
