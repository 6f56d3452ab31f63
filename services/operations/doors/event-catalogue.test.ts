import { createRegistry, fromJsonString, toJsonString } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { EventKind } from '#gen/causeway/events/v1/options_pb.js';
import type { EventContract } from '#gen/causeway/operations/v1/log_pb.js';
import { file_causeway_orders_v1_events } from '#gen/causeway/orders/v1/events_pb.js';
import { ownContracts } from '#kit/contracts.ts';
import type { ServiceDescription } from '#kit/service-descriptions.ts';
import { eventCatalogue } from './event-catalogue.ts';

const PLACED = 'causeway.orders.v1.OrderPlaced';

const orders: ServiceDescription = {
  service: 'orders',
  journals: [{ service: 'orders', stream: 'ORDERS' }],
  publishes: [{ stream: 'ORDERS', aggregate: 'order', eventTypes: [PLACED] }],
  consumers: [
    {
      name: 'orders-orders',
      kind: 'projection',
      sources: [{ stream: 'ORDERS', aggregate: 'order' }],
      eventTypes: [PLACED],
    },
  ],
};
const fulfilment: ServiceDescription = {
  service: 'fulfilment',
  journals: [],
  publishes: [],
  consumers: [
    {
      name: 'fulfilment-start-on-order-placed',
      kind: 'reaction',
      sources: [{ stream: 'ORDERS', aggregate: 'order' }],
      eventTypes: [PLACED],
    },
    {
      name: 'fulfilment-of-another-stream',
      kind: 'reaction',
      sources: [{ stream: 'OLD', aggregate: 'order' }],
      eventTypes: [PLACED],
    },
    {
      name: 'fulfilment-of-another-type',
      kind: 'reaction',
      sources: [{ stream: 'ORDERS', aggregate: 'order' }],
      eventTypes: [],
    },
  ],
};

const contracts = ownContracts();
const found = (type: string, services: ServiceDescription[]): EventContract | undefined =>
  eventCatalogue(contracts, services).find((each) => each.type === type);

test('an event is told with its kind, its version, what it means, where it is said and who listens', () => {
  expect(found(PLACED, [orders, fulfilment])).toMatchObject({
    version: 'v1',
    kind: EventKind.DOMAIN,
    description: expect.stringMatching(/order/),
    stream: 'ORDERS',
    publisher: 'orders',
    subject: 'orders.event.*.order.*',
    consumers: [
      { service: 'orders', name: 'orders-orders', isProjection: true },
      { service: 'fulfilment', name: 'fulfilment-start-on-order-placed', isProjection: false },
    ],
  });
});

test('what several services say is told once, of none of them alone', () => {
  const other = { ...fulfilment, journals: orders.journals, publishes: orders.publishes };
  expect(found(PLACED, [orders, other])).toMatchObject({ stream: 'ORDERS', publisher: 'several-services' });
});

test('where its service never ran it is told without a place, with those that wait for it', () => {
  expect(found(PLACED, [fulfilment])).toMatchObject({
    stream: '',
    publisher: '',
    subject: '',
    consumers: [{ name: 'fulfilment-start-on-order-placed' }, { name: 'fulfilment-of-another-stream' }],
  });
});

test('fields are told with their types, what the contract says of them, and what is personal', () => {
  const fields = new Map(found(PLACED, [])?.fields.map((field) => [field.name, field]));

  expect(fields.get('order_id')).toMatchObject({ number: 1, type: 'string', repeated: false, personal: false });
  expect(fields.get('lines')).toMatchObject({ type: 'causeway.orders.v1.OrderLine', repeated: true });
  expect(fields.get('total')).toMatchObject({ type: 'google.type.Money' });
  expect(fields.get('email')).toMatchObject({ type: 'string', personal: true });
  expect(fields.get('sealed')).toMatchObject({ type: 'bytes', description: expect.stringContaining('encrypted') });
  const request = found('causeway.operations.v1.ProjectionActRequested', [])?.fields ?? [];
  expect(request.find(({ name }) => name === 'act')).toMatchObject({ type: 'causeway.operations.v1.ProjectionAct' });
  expect(request.find(({ name }) => name === 'reason')).toMatchObject({ description: 'Why, in words.' });
});

test('a comment of several lines is one text', () => {
  expect(found('causeway.fulfilment.v1.StockRequested', [])?.description).toContain(
    'what the later steps need, because a fulfilment can be made anew',
  );
});

test.each(contracts.events().map((type) => [type.typeName, type] as const))(
  'the contract of %s says what it means, and its example is one',
  (name, type) => {
    const contract = found(name, []);

    expect(contract?.description).not.toBe('');
    const example = fromJsonString(type, contract?.example ?? '', { ignoreUnknownFields: false });
    expect(Object.keys(JSON.parse(toJsonString(type, example)))).toEqual(
      Object.keys(JSON.parse(contract?.example ?? '')),
    );
  },
);

test('examples are plausible: what the contract names is taken, and what the field is called', () => {
  const example = JSON.parse(found('causeway.fulfilment.v1.FulfilmentFailed', [])?.example ?? '');
  const placed = fromJsonString(
    createRegistry(file_causeway_orders_v1_events).getMessage(PLACED) as never,
    found(PLACED, [])?.example ?? '',
  );

  expect(example).toMatchObject({ orderId: expect.stringMatching(/^[0-9a-f-]{36}$/), reason: 'OUT_OF_STOCK' });
  expect(placed).toMatchObject({ email: 'alice@example.com', total: { currencyCode: 'EUR', units: 24n } });
});
