import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { EventKind } from '#gen/causeway/events/v1/options_pb.js';
import { EventContractSchema } from '#gen/causeway/operations/v1/log_pb.js';
import { found, kindName, servicesOf } from './catalogue-filter.ts';

const placed = create(EventContractSchema, {
  type: 'causeway.orders.v1.OrderPlaced',
  kind: EventKind.DOMAIN,
  description: 'A customer has ordered.',
  publisher: 'orders',
  consumers: [{ service: 'fulfilment', name: 'fulfilment-start' }],
  fields: [{ name: 'payment_method' }],
});
const sent = create(EventContractSchema, {
  type: 'causeway.notifications.v1.EmailSent',
  kind: EventKind.NOTIFICATION,
  publisher: 'notifications',
});
const any = { text: '', kind: '', service: '' };

test.each([
  ['nothing', any, [placed, sent]],
  ['a word of its name, in any case', { ...any, text: 'ORDERplaced' }, [placed]],
  ['words of its description and its fields', { ...any, text: ' customer  payment_method' }, [placed]],
  ['a word that it has not', { ...any, text: 'order email' }, []],
  ['its kind', { ...any, kind: 'notification' }, [sent]],
  ['a kind that there is not', { ...any, kind: 'other' }, []],
  ['who says it', { ...any, service: 'orders' }, [placed]],
  ['who hears it', { ...any, service: 'fulfilment' }, [placed]],
])('events are found by %s', (_, filter, expected) => {
  expect(found([placed, sent], filter)).toEqual(expected);
});

test('services are those that say or hear something, each once', () => {
  expect(servicesOf([placed, sent, create(EventContractSchema, {})])).toEqual([
    'fulfilment',
    'notifications',
    'orders',
  ]);
});

test('a kind that this page does not know has a name too', () => {
  expect([kindName(EventKind.INTEGRATION), kindName(7 as EventKind)]).toEqual(['integration', 'unknown']);
});
