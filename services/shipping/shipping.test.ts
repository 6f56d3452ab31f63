import { randomUUID } from 'node:crypto';
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ShipmentCancelRequestedSchema, ShipmentRequestedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { file_causeway_shipping_v1_events } from '#gen/causeway/shipping/v1/events_pb.js';
import { ShipmentStatus, ShippingService } from '#gen/causeway/shipping/v1/shipping_service_pb.js';
import { EventTypes, eventsIn, type RecordedEvent, readEvent } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import { subjectOf } from '#kit/partitions.ts';
import { journalOf } from '#kit/streams.ts';
import { openTestParts, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { telling } from '#kit/testing/told.ts';
import { shippingJournal } from './adapters/shipment-aggregate.ts';
import { shipping } from './shipping.ts';

const { getShipment, confirmDelivery } = ShippingService.method;
const nats = await ownNats();
/** So far ahead of the real time is the time that the carrier goes by. */
let aheadMs = 0;
const clock = () => new Date(Date.now() + aheadMs);
const parts = await openTestParts('shipping', { natsUrl: nats.url, mongodbUri: sharedMongoUri(), clock });
let service = await shipping(parts, { carrierDeliversAfterMs: 3_600_000 });
const fulfilment = telling(parts, journalOf('fulfilment'), 'fulfilment');
const types = new EventTypes(eventsIn(file_causeway_shipping_v1_events));
const shipTo = { name: 'Zelda Quist', line1: 'Wharf 19', city: 'Cork', postalCode: 'T12', countryCode: 'IE' };

beforeAll(() => service.start());
afterAll(() => service.stop());

function call<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethodUnary<Input, Output>,
  request: MessageInitShape<Input>,
  subject = 'olga',
): Promise<MessageShape<Output>> {
  const asked = {
    caller: { subject, role: subject === 'olga' ? ('operator' as const) : ('customer' as const) },
    authorization: '',
    correlationId: 'correlation',
    signal: AbortSignal.timeout(5_000),
    deadline: undefined,
  };
  const [door] = service.doors;
  return door?.messages.unary(method, create(method.input, request), asked) as Promise<MessageShape<Output>>;
}

const requested = (orderId: string, id: string = randomUUID()) =>
  fulfilment(
    ShipmentRequestedSchema,
    orderId,
    { orderId, customerId: 'alice', lines: [{ sku: 'beans', quantity: 2 }], shipTo },
    { id, dataOwner: 'alice', correlationId: 'correlation' },
  );
/** As it is read once the customer was erased. */
const requestedWithoutAddress = (orderId: string) =>
  fulfilment(ShipmentRequestedSchema, orderId, { orderId, customerId: 'erased' }, { dataOwner: 'erased' });
const cancelRequested = (orderId: string, id: string = randomUUID()) =>
  fulfilment(ShipmentCancelRequestedSchema, orderId, { orderId, reason: 'SHIPMENT_DEADLINE' }, { id });
const shipmentOf = async (orderId: string, subject = 'olga') =>
  (await call(getShipment, { orderId }, subject).catch(() => undefined))?.shipment;
const becomes = (orderId: string, status: ShipmentStatus) =>
  expect.poll(async () => (await shipmentOf(orderId))?.status).toBe(status);

async function dispatchedOrder(): Promise<string> {
  const orderId = randomUUID();
  await requested(orderId);
  await becomes(orderId, ShipmentStatus.DISPATCHED);
  return orderId;
}

async function eventsOf(orderId: string): Promise<RecordedEvent[]> {
  const stored = await new Journal(shippingJournal, parts.broker).history(subjectOf('shipping', 'shipment', orderId));
  return Promise.all(stored.map((message) => readEvent(message, types, parts.personalData)));
}
const namesOf = async (orderId: string) => (await eventsOf(orderId)).map(({ type }) => type.split('.').at(-1));

/** Until everything that was asked for is answered. */
async function settled(): Promise<void> {
  const left = async () => {
    const consumers = await parts.broker.manager.consumers.list('FULFILMENT').next();
    return consumers.reduce((sum, info) => sum + info.num_pending + info.num_ack_pending, 0);
  };
  await expect.poll(left).toBe(0);
}

describe('what is asked for', () => {
  test('is dispatched, with a tracking number and its cause', async () => {
    const orderId = randomUUID();
    const { id } = await requested(orderId);
    await becomes(orderId, ShipmentStatus.DISPATCHED);

    const [dispatched] = await eventsOf(orderId);

    expect(dispatched).toMatchObject({ causationId: id, actor: 'shipping', correlationId: 'correlation', version: 1 });
    expect(dispatched?.data).toMatchObject({ orderId, customerId: 'alice', carrier: 'Simulated Carrier' });
    expect(await shipmentOf(orderId)).toMatchObject({ trackingNumber: expect.stringMatching(/^SIM/), version: 1n });
  });

  test('twice, and after it was cancelled, is dispatched once or never', async () => {
    const [twice, never] = [randomUUID(), randomUUID()];
    const id = randomUUID();
    for (const each of [id, id, randomUUID()]) await requested(twice, each);
    for (const each of [id, id, randomUUID()]) await cancelRequested(never, each);
    await requested(never);
    await settled();

    expect(await namesOf(twice)).toEqual(['ShipmentDispatched']);
    expect(await namesOf(never)).toEqual(['ShipmentCancelled']);
    await becomes(never, ShipmentStatus.CANCELLED);
  });

  test('for a customer who was erased is cancelled, and holds up nothing that is asked for later', async () => {
    const orderId = randomUUID();
    await requestedWithoutAddress(orderId);
    await cancelRequested(orderId);
    await settled();

    const events = await eventsOf(orderId);

    expect(events.map(({ data }) => data)).toMatchObject([{ orderId, reason: 'NO_ADDRESS' }]);
  });

  test('and is dispatched is not cancelled any more', async () => {
    const orderId = await dispatchedOrder();
    await cancelRequested(orderId);
    await settled();

    expect(await namesOf(orderId)).toEqual(['ShipmentDispatched']);
  });

  test('while shipping is down is dispatched when it is back, and what it had done is not done again', async () => {
    const before = await dispatchedOrder();
    await service.stop();
    const orderIds = Array.from({ length: 20 }, () => randomUUID());
    for (const orderId of orderIds) await requested(orderId);
    service = await shipping(parts, { carrierDeliversAfterMs: 3_600_000 });
    await service.start();

    for (const orderId of orderIds) await becomes(orderId, ShipmentStatus.DISPATCHED);
    for (const orderId of [before, ...orderIds]) expect(await namesOf(orderId)).toEqual(['ShipmentDispatched']);
  });
});

describe('a delivery', () => {
  test('is confirmed by an operator, and confirmed again is the same', async () => {
    const orderId = await dispatchedOrder();
    const requestId = randomUUID();

    const first = await call(confirmDelivery, { orderId, requestId });
    const again = await call(confirmDelivery, { orderId, requestId });
    const { shipment } = await call(getShipment, { orderId, atLeast: first.position ? [first.position] : [] });

    expect(first.version).toBe(2n);
    expect(again).toEqual(first);
    expect(shipment).toMatchObject({ status: ShipmentStatus.DELIVERED, version: 2n });
    expect(shipment?.deliveredAt).toBeDefined();
    expect(await call(confirmDelivery, { orderId })).toMatchObject({ version: 2n });
    expect(await namesOf(orderId)).toEqual(['ShipmentDispatched', 'ShipmentDelivered']);
    expect((await eventsOf(orderId)).at(-1)?.actor).toBe('olga');
  });

  test('is not confirmed for another order with the same request id', async () => {
    const [one, other] = [await dispatchedOrder(), await dispatchedOrder()];
    const requestId = randomUUID();
    await call(confirmDelivery, { orderId: one, requestId });

    const refused = call(confirmDelivery, { orderId: other, requestId });

    await expect(refused).rejects.toMatchObject({ code: 'ALREADY_EXISTS', details: { reason: 'REQUEST_DIFFERS' } });
    expect(await namesOf(other)).toEqual(['ShipmentDispatched']);
  });

  test('of what was never dispatched, or was cancelled, is none', async () => {
    const cancelled = randomUUID();
    await cancelRequested(cancelled);
    await becomes(cancelled, ShipmentStatus.CANCELLED);

    for (const orderId of [randomUUID(), cancelled]) {
      await expect(call(confirmDelivery, { orderId })).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        details: { reason: 'SHIPMENT_NOT_DISPATCHED' },
      });
    }
  });

  test('is no business of customers', async () => {
    const orderId = await dispatchedOrder();

    await expect(call(confirmDelivery, { orderId }, 'alice')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  });
});

test('a customer sees its own shipments, and not that there are others', async () => {
  const orderId = await dispatchedOrder();

  expect(await shipmentOf(orderId, 'alice')).toMatchObject({ orderId, customerId: 'alice' });
  for (const refused of [
    () => call(getShipment, { orderId }, 'bob'),
    () => call(getShipment, { orderId: randomUUID() }, 'alice'),
  ]) {
    await expect(refused()).rejects.toMatchObject({ code: 'NOT_FOUND', details: { reason: 'SHIPMENT_UNKNOWN' } });
  }
});

test('no address stands in the journal', async () => {
  const orderId = await dispatchedOrder();
  const [stored] = await new Journal(shippingJournal, parts.broker).history(subjectOf('shipping', 'shipment', orderId));
  const state = Buffer.from(stored?.headers.get('Causeway-State') ?? '', 'base64');

  const bytes = Buffer.concat([stored?.data ?? new Uint8Array(), state]).toString('latin1');

  for (const secret of Object.values(shipTo).filter((each) => each.length > 3)) expect(bytes).not.toContain(secret);
});

// Last: from here on everything that was dispatched is overdue.
test('the simulated carrier delivers what it has had long enough, once, and nothing before', async () => {
  const orderId = await dispatchedOrder();
  const [dispatched] = await eventsOf(orderId);
  expect(await namesOf(orderId)).toEqual(['ShipmentDispatched']);

  aheadMs = 3_601_000;
  await becomes(orderId, ShipmentStatus.DELIVERED);

  const delivered = (await eventsOf(orderId)).at(-1);
  expect(delivered).toMatchObject({
    actor: 'carrier',
    causationId: dispatched?.id,
    correlationId: 'correlation',
    version: 2,
  });
  expect(await namesOf(orderId)).toEqual(['ShipmentDispatched', 'ShipmentDelivered']);
});
