import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { ShipmentCancelRequestedSchema, ShipmentRequestedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { TransientError } from '#kit/errors.ts';
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
      return { result: 'booked', trackingNumber: 'T-1' };
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
  const cancel = () => {
    const data = create(ShipmentCancelRequestedSchema, { orderId, reason: 'SHIPMENT_DEADLINE' });
    return reaction.handle({ id: 'f', key: orderId, data } as never, context);
  };
  return { request, cancel, told, commands, status: () => state.status };
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

const erased = { ...requested, shipTo: undefined } as never;

test('without an address nothing can be sent, now or later: it is cancelled, and says why', async () => {
  const { request, cancel, told, commands } = reacting();

  await request(erased);
  await cancel();

  expect(told.filter((each) => typeof each !== 'string')).toEqual([]);
  expect(commands[0]).toEqual({ type: 'CancelShipment', orderId, reason: 'NO_ADDRESS' });
});

test('what the carrier will never take is cancelled, and says why', async () => {
  const { request, commands, status } = reacting({ book: async () => ({ result: 'refused', reason: 'TOO_HEAVY' }) });

  await request();

  expect(commands).toEqual([{ type: 'CancelShipment', orderId, reason: 'TOO_HEAVY' }]);
  expect(status()).toBe('Cancelled');
});

test('what was dispatched before its address was erased stays dispatched, and with the carrier', async () => {
  const { request, told, status } = reacting();
  await request();

  await request(erased);

  expect(status()).toBe('Dispatched');
  expect(told).not.toContain(`cancel ${orderId}`);
});

test.each(['erased', 'called back'] as const)(
  'a booking that nobody has noted is taken back where it is %s',
  async (how) => {
    const { request, cancel, told } = reacting();

    await (how === 'erased' ? request(erased) : cancel());

    expect(told).toEqual([`cancel ${orderId}`]);
  },
);
