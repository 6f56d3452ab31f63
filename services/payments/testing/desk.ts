import { randomUUID } from 'node:crypto';
import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type Timestamp, timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  CaptureRequestedSchema,
  file_causeway_fulfilment_v1_events,
  PaymentRequestedSchema,
  PaymentVoidRequestedSchema,
} from '#gen/causeway/fulfilment/v1/events_pb.js';
import { file_causeway_payments_v1_events } from '#gen/causeway/payments/v1/events_pb.js';
import { EventTypes, eventHeaders, eventsIn, type RecordedEvent, readEvent } from '#kit/event.ts';
import { ensureJournals, Journal } from '#kit/journal.ts';
import type { Service } from '#kit/lifecycle.ts';
import { partitionOf, subjectOf } from '#kit/partitions.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import type { SettingValues } from '#kit/settings.ts';
import { journalOf } from '#kit/streams.ts';
import { atTheEnd, openTestParts, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { Sandbox, type SandboxPayment } from '../adapters/sandbox.ts';
import type { Money } from '../domain/money.ts';
import { payments, type paymentsSettings } from '../payments.ts';
import type { PaymentProvider } from '../reactions/payment-provider.ts';

const types = new EventTypes([
  ...eventsIn(file_causeway_payments_v1_events),
  ...eventsIn(file_causeway_fulfilment_v1_events),
]);

const amount = { currencyCode: 'EUR', units: 25n, nanos: 500_000_000 };

/** What a test may want to be different from what is usually asked. */
type Asked = { amount?: Money; paymentMethod?: string; deadline?: Timestamp; customerId?: string };

/** The payments service on a broker of the test's own; the test plays fulfilment, and the provider where it wants to. */
export class Desk {
  readonly parts: ServiceParts;
  readonly sandbox: Sandbox;
  readonly #versions = new Map<string, number>();
  #running: Service | undefined;

  private constructor(parts: ServiceParts) {
    this.parts = parts;
    this.sandbox = new Sandbox(parts.db, { slowMs: 300 });
  }

  /** Opens it; the service is not started yet. */
  static async open(clock?: () => Date): Promise<Desk> {
    let desk: Desk | undefined;
    const broker = ownNats();
    atTheEnd(async () => desk?.stop());
    const { url } = await broker;
    const parts = await openTestParts('payments', {
      natsUrl: url,
      mongodbUri: sharedMongoUri(),
      ...(clock === undefined ? {} : { clock }),
    });
    await ensureJournals(parts.broker, [journalOf('fulfilment')]);
    desk = new Desk(parts);
    return desk;
  }

  /** Starts the service, or starts it again: with a provider of the test's, or the one that settings name. */
  async start(asking: PaymentProvider | SettingValues<typeof paymentsSettings> = this.sandbox): Promise<Service> {
    await this.stop();
    const none = { stripeApiKey: undefined, stripeApiBase: undefined };
    this.#running =
      'stripeApiKey' in asking ? await payments(this.parts, asking) : await payments(this.parts, none, asking);
    await this.#running.start();
    return this.#running;
  }

  async stop(): Promise<void> {
    await this.#running?.stop();
    this.#running = undefined;
  }

  /** Stops the service and forgets what it has acknowledged: when it starts again, everything comes again. */
  async forget(): Promise<void> {
    await this.stop();
    const { consumers } = this.parts.broker.manager;
    for (const stream of ['FULFILMENT', 'PAYMENTS']) {
      for await (const { name } of consumers.list(stream)) await consumers.delete(stream, name);
    }
  }

  /** An order's id that no other has, and a payment of it asked for. */
  async request(fields: Asked = {}): Promise<string> {
    const orderId = randomUUID();
    await this.requestFor(orderId, fields);
    return orderId;
  }

  async requestFor(orderId: string, fields: Asked = {}): Promise<void> {
    const deadline = timestampFromDate(new Date(Date.now() + 60_000));
    const asked = { orderId, customerId: 'alice', amount, paymentMethod: 'pm_ok', deadline, ...fields };
    await this.say(orderId, PaymentRequestedSchema, asked);
  }

  requestVoid(orderId: string): Promise<void> {
    return this.say(orderId, PaymentVoidRequestedSchema, { orderId, customerId: 'alice', reason: 'ORDER_CANCELLED' });
  }

  requestCapture(orderId: string, fields: Pick<Asked, 'amount'> = {}): Promise<void> {
    return this.say(orderId, CaptureRequestedSchema, { orderId, amount, ...fields });
  }

  /** Says something in fulfilment's journal. */
  async say<Desc extends DescMessage>(orderId: string, type: Desc, says: MessageInitShape<Desc>): Promise<void> {
    const version = (this.#versions.get(orderId) ?? 0) + 1;
    this.#versions.set(orderId, version);
    const headers = eventHeaders({
      id: randomUUID(),
      type: type.typeName,
      source: 'fulfilment',
      key: orderId,
      time: this.parts.clock(),
      version,
      correlationId: `correlation of ${orderId}`,
      causationId: 'test',
      actor: 'test',
      traceparent: '',
      tracestate: '',
    });
    const subject = subjectOf('fulfilment', 'fulfilment', orderId);
    await this.parts.broker.js.publish(subject, toBinary(type, create(type, says)), { headers });
  }

  /** What stands in PAYMENTS about an order, first to last. */
  async events(orderId: string): Promise<RecordedEvent[]> {
    const journal = new Journal(journalOf('payments'), this.parts.broker);
    const stored = await journal.history(subjectOf('payments', 'payment', orderId));
    return Promise.all(stored.map((message) => readEvent(message, types, this.parts.personalData)));
  }

  /** The same in short: `Authorized Captured`. */
  async story(orderId: string): Promise<string> {
    const events = await this.events(orderId);
    return events.map(({ type }) => type.replace('causeway.payments.v1.Payment', '')).join(' ');
  }

  /** What the sandbox, as an outside system, knows of an order. */
  async atSandbox(orderId: string): Promise<SandboxPayment | null> {
    return this.parts.db.collection<SandboxPayment>('sandbox_payments').findOne({ _id: orderId });
  }

  /** How many events the service's consumers have not acknowledged yet. */
  async pending(): Promise<number> {
    const { consumers } = this.parts.broker.manager;
    let pending = 0;
    for (const stream of ['FULFILMENT', 'PAYMENTS']) {
      for await (const { num_pending, num_ack_pending } of consumers.list(stream))
        pending += num_pending + num_ack_pending;
    }
    return pending;
  }

  /** Why the service has parked messages of an order. */
  async parked(orderId: string): Promise<string[]> {
    const letters = new Journal({ service: 'dead', stream: 'DEAD_LETTERS', maxBytes: 0 }, this.parts.broker);
    const consumers = [
      'payments-authorize-payment-on-payment-requested',
      'payments-settle-payment-on-capture-or-void-requested',
      'payments-refund-payment-on-refund-requested',
    ];
    const found = await Promise.all(
      consumers.map((consumer) => letters.history(`dead.${consumer}.${partitionOf(orderId)}.${orderId}`)),
    );
    return found.flat().map(({ headers }) => headers.get('Causeway-Dead-Reason'));
  }
}
