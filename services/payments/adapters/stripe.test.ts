import { beforeAll } from 'vitest';
import { describeProvider } from '../testing/provider-suite.ts';
import { StripeFront } from '../testing/stripe-front.ts';
import { startStripeMock } from '../testing/stripe-mock.ts';
import { StripeProvider } from './stripe.ts';

let front: StripeFront;

beforeAll(async () => {
  front = await StripeFront.open(await startStripeMock());
});

const stripe = () => new StripeProvider({ apiKey: front.key, apiBase: front.url });

describeProvider('Stripe', () => ({
  provider: stripe(),
  restarted: stripe,
  account: async (orderId) => {
    const intents = front.intentsOf(orderId);
    return {
      isHeld: intents.some(({ status }) => status === 'requires_capture'),
      charges: intents.reduce((sum, { captures }) => sum + captures, 0),
      refunds: front.refunds.filter(({ payment_intent }) => intents.some(({ id }) => id === payment_intent)).length,
    };
  },
}));
