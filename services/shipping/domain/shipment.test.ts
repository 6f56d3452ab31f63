import { describe, test } from 'vitest';
import { given, type Then } from '#kit/testing/given.ts';
import { type Shipment, type ShipmentCommand, type ShipmentEvent, shipment } from './shipment.ts';

const orderId = '00000000-0000-4000-8000-000000000001';
const details = { orderId, customerId: 'alice', carrier: 'Simulated Carrier', trackingNumber: 'SIM1' };

const dispatched: ShipmentEvent = { type: 'ShipmentDispatched', ...details };
const delivered: ShipmentEvent = { type: 'ShipmentDelivered', orderId };
const cancelled: ShipmentEvent = { type: 'ShipmentCancelled', orderId, reason: 'SHIPMENT_DEADLINE' };

/** How a shipment comes into each state. */
const histories: Record<Shipment['status'], ShipmentEvent[]> = {
  None: [],
  Dispatched: [dispatched],
  Delivered: [dispatched, delivered],
  Cancelled: [cancelled],
};

type Answer = (then: Then<ShipmentEvent>) => void;

const event =
  (expected: ShipmentEvent): Answer =>
  (then) =>
    then.thenEvent(expected);
const nothing: Answer = (then) => then.thenNothing();
const notDispatched: Answer = (then) => then.thenRefused('FAILED_PRECONDITION', 'SHIPMENT_NOT_DISPATCHED');

type Row = { what: string; command: ShipmentCommand; answers: Record<Shipment['status'], Answer> };

describe.each<Row>([
  {
    what: 'a shipment is dispatched once, and not after it was cancelled',
    command: { type: 'DispatchShipment', ...details },
    answers: { None: event(dispatched), Dispatched: nothing, Delivered: nothing, Cancelled: nothing },
  },
  {
    what: 'a shipment is cancelled, also before it was asked for or because it can not be sent, unless it is dispatched',
    command: { type: 'CancelShipment', orderId, reason: 'SHIPMENT_DEADLINE' },
    answers: { None: event(cancelled), Dispatched: nothing, Delivered: nothing, Cancelled: nothing },
  },
  {
    what: 'what was dispatched is delivered, once',
    command: { type: 'ConfirmDelivery', orderId },
    answers: { None: notDispatched, Dispatched: event(delivered), Delivered: nothing, Cancelled: notDispatched },
  },
])('$what', ({ command, answers }) => {
  test.each(Object.entries(answers))('where it is %s', (status, answer) => {
    answer(given(shipment, ...histories[status as Shipment['status']]).when(command));
  });
});
