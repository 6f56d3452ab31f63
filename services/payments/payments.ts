import { KeyedConsumer } from '#kit/consumer.ts';
import { CommandHandler } from '#kit/decider.ts';
import { ensureJournals, Journal } from '#kit/journal.ts';
import { healthOf, type Service } from '#kit/lifecycle.ts';
import { OwnedWork } from '#kit/owned-work.ts';
import { Projection } from '#kit/projection.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import type { SettingValues } from '#kit/settings.ts';
import { journalOf } from '#kit/streams.ts';
import { observeJournal } from '#kit/telemetry/journal-metrics.ts';
import { paymentAggregate, paymentsJournal } from './adapters/payment-aggregate.ts';
import { requestAggregate } from './adapters/request-aggregate.ts';
import { Sandbox } from './adapters/sandbox.ts';
import { StripeProvider } from './adapters/stripe.ts';
import { paymentDoor } from './doors/payment-service.ts';
import { authorizePayment } from './reactions/authorize-payment.ts';
import { pastRequest } from './reactions/past-request.ts';
import type { PaymentProvider } from './reactions/payment-provider.ts';
import { refundPayment } from './reactions/refund-payment.ts';
import { settlePayment } from './reactions/settle-payment.ts';
import type { paymentsSettings } from './settings.ts';
import { paymentsView } from './views/payments/payments-view.ts';

export { paymentsSettings } from './settings.ts';

/**
 * An authorisation waits for its provider, and so do many at the same time. It is tried for as long as it is wanted:
 * fulfilment's deadline ends it, not a number of attempts.
 */
const authorizing = {
  maxKeys: 1_024,
  maxAtWork: 2_048,
  // Those that hang are tried less and less often, and many of them fit in before they keep others out.
  maxHeld: 4_096,
  backoff: { minMs: 200, maxMs: 60_000 },
  maxAttempts: Number.MAX_SAFE_INTEGER,
  attemptTimeoutMs: 25_000,
  // An attempt that hangs is no standstill before it has timed out.
  watchMs: 30_000,
  // What is cut off is asked for again, and has the same answer.
  drainMs: 2_000,
};

/** A provider that answers with failures for half an hour is a matter for an operator. */
const settling = {
  maxKeys: 256,
  maxAtWork: 512,
  maxAttempts: 60,
  backoff: { minMs: 200, maxMs: 60_000 },
  attemptTimeoutMs: 10_000,
  watchMs: 30_000,
};

/**
 * Payments: what is authorised, captured, voided and refunded.
 *
 * | door | does |
 * | --- | --- |
 * | PaymentService | the command to refund, queries on the view |
 *
 * | reaction | follows | does |
 * | --- | --- | --- |
 * | authorize-payment-on-payment-requested | FULFILMENT | PaymentAuthorized, PaymentDeclined |
 * | settle-payment-on-capture-or-void-requested | FULFILMENT | PaymentCaptured, PaymentVoided, or their refusals |
 * | refund-payment-on-refund-requested | PAYMENTS | PaymentRefunded, PaymentRefundRefused |
 *
 * | projection | made from |
 * | --- | --- |
 * | payments | PAYMENTS |
 *
 * @param provider left out: the one that the settings name.
 */
export async function payments(
  parts: ServiceParts,
  settings: SettingValues<typeof paymentsSettings>,
  provider: PaymentProvider = providerOf(parts, settings),
): Promise<Service> {
  const { broker, personalData, clock, logger } = parts;
  const journal = new Journal(paymentsJournal, broker);
  const commands = new CommandHandler(journal, paymentAggregate, personalData, clock);
  const requests = new CommandHandler(journal, requestAggregate, personalData, clock);
  const handle: typeof commands.handle = (request) => commands.handle(request);
  const requested = (orderId: string) => pastRequest(parts, orderId);
  const view = new Projection(paymentsView, parts);
  const work = new OwnedWork(
    [
      view,
      new KeyedConsumer(authorizePayment({ provider, handle, clock }), parts, authorizing),
      new KeyedConsumer(settlePayment({ provider, handle, requested }), parts, settling),
      new KeyedConsumer(refundPayment({ provider, handle }), parts, settling),
    ],
    [commands, requests],
    parts,
  );

  const health = () => healthOf(parts, journal, [work]);
  let endObserving = () => {};

  return {
    name: 'payments',
    doors: [
      paymentDoor({
        handle,
        stateOf: async (orderId) => (await commands.state(orderId))?.state,
        noteRequest: (request) => requests.handle(request),
        payments: view,
      }),
    ],
    async start() {
      await journal.ensure();
      await ensureJournals(broker, [journalOf('fulfilment')]);
      endObserving = observeJournal(broker, paymentsJournal, logger);
      await work.start(health);
    },
    async stop() {
      endObserving();
      await work.stop();
    },
    health,
    describe: () => work.describe(),
  };
}

function providerOf(
  { db }: ServiceParts,
  { stripeApiKey, stripeApiBase }: SettingValues<typeof paymentsSettings>,
): PaymentProvider {
  if (stripeApiKey === undefined) return new Sandbox(db);
  return new StripeProvider({ apiKey: stripeApiKey, apiBase: stripeApiBase });
}
