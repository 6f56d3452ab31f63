import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { ShipmentRequestedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { PermanentError, TransientError } from '#kit/errors.ts';
import type { Carrier, Consignment } from '../domain/carrier.ts';
import { type Shipment, type ShipmentCommand, shipment } from '../domain/shipment.ts';
import { shipOrCancelOnRequest } from './ship-or-cancel.ts';

const orderId = '00000000-0000-4000-8000-000000000001';
const shipTo = { name: 'Alice', line1: '1 Main St', line2: '', city: 'Cork', postalCode: 'T12', countryCode: 'IE' };
const requested = { orderId, customerId: 'alice', lines: [{ sku: 'beans', quantity: 2 }], shipTo };
const context = { signal: new AbortController().signal, attempt: 1 };

/** The reaction with a carrier that notes what it is told, and one shipment. */
function reacting(carrier: Partial<Carrier> = {}, before: Shipment = shipment.initialState) {
  const told: (Consignment | string)[] = [];
  const commands: ShipmentCommand[] = [];
  let state = before;
  const noting: Carrier = {
    name: 'noting',
    book: async (consignment) => {
      told.push(consignment);
      return { trackingNumber: 'T-1' };
    },
    cancel: async (id) => {
      told.push(`cancel ${id}`);
    },
    ...carrier,
  };
  const reaction = shipOrCancelOnRequest({
    carrier: noting,
    async handle({ command }) {
      commands.push(command);
      const decided = shipment.decide(command, state);
      if (decided !== undefined && !('refused' in decided)) state = shipment.evolve(state, decided);
      return { state } as never;
    },
  });
  const request = (says = requested) =>
    reaction.handle({ id: 'e', key: orderId, data: create(ShipmentRequestedSchema, says) } as never, context);
  return { request, told, commands };
}

test('the carrier gets the address in the clear, and the shipment its tracking number', async () => {
  const { request, told, commands } = reacting();

  await request();

  expect(told).toMatchObject([{ orderId, lines: [{ sku: 'beans', quantity: 2 }], shipTo }]);
  expect(commands).toEqual([
    { type: 'DispatchShipment', orderId, customerId: 'alice', carrier: 'noting', trackingNumber: 'T-1' },
  ]);
});

test('a booking of what turns out to be cancelled is taken back', async () => {
  const { request, told } = reacting({}, { status: 'Cancelled' });

  await request();

  expect(told.at(-1)).toBe(`cancel ${orderId}`);
});

test('a booking that could not be taken back is tried for once more', async () => {
  let failures = 1;
  const cancel = async () => {
    if (failures-- > 0) throw new TransientError('busy');
  };
  const { request } = reacting({ cancel }, { status: 'Cancelled' });

  await expect(request()).rejects.toThrow(TransientError);
  await request();

  expect(failures).toBe(-1);
});

test('nothing is dispatched that the carrier did not take', async () => {
  const book = () => Promise.reject(new TransientError('no van today'));
  const { request, commands } = reacting({ book });

  await expect(request()).rejects.toThrow(TransientError);

  expect(commands).toEqual([]);
});

test('without an address nothing can be sent, now or later', async () => {
  const { request, told } = reacting();
  const { shipTo: _, ...erased } = requested;

  await expect(request(erased as never)).rejects.toThrow(PermanentError);

  expect(told).toEqual([]);
});
