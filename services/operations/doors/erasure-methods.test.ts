import { create } from '@bufbuild/protobuf';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { PersonalDataErasedSchema } from '#gen/causeway/events/v1/personal_data_erased_pb.js';
import { CustomerErasureRequestedSchema } from '#gen/causeway/operations/v1/events_pb.js';
import {
  EraseCustomerRequestSchema,
  type EraseCustomerResponse,
} from '#gen/causeway/operations/v1/operations_service_pb.js';
import { EventTypes, type RecordedEvent, readEvent } from '#kit/event.ts';
import { ensureJournals, Journal } from '#kit/journal.ts';
import type { Service } from '#kit/lifecycle.ts';
import type { PersonalData } from '#kit/personal-data.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { journalOf } from '#kit/streams.ts';
import { openTestParts, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { operations } from '../operations.ts';

let parts: ServiceParts;
let service: Service;

beforeAll(async () => {
  const nats = await ownNats();
  parts = await openTestParts('operations', { natsUrl: nats.url, mongodbUri: sharedMongoUri() });
  await ensureJournals(parts.broker, [journalOf('orders'), journalOf('fulfilment')]);
  service = await operations(parts);
  await service.start();
  return () => service.stop();
});

type Asked = { customerId?: string; note?: string; requestId?: string };

async function erase(asked: Asked, subject = 'olga', asker = service): Promise<EraseCustomerResponse> {
  const request = create(EraseCustomerRequestSchema, { note: 'asked for it', ...asked });
  const call = {
    caller: { subject, role: 'operator' } as const,
    authorization: '',
    correlationId: 'correlation-1',
    signal: new AbortController().signal,
    deadline: undefined,
  };
  const door = asker.doors[0];
  const method = door?.service.method.eraseCustomer;
  return (await door?.messages.unary(method as never, request as never, call)) as never;
}

const types = new EventTypes([CustomerErasureRequestedSchema, PersonalDataErasedSchema]);

/** What is on record of the erasures of a customer. */
async function recorded(customerId: string): Promise<RecordedEvent[]> {
  const journal = new Journal(journalOf('operations'), parts.broker);
  const events = await Promise.all(
    (await journal.history('operations.event.*.erasure.*')).map((message) =>
      readEvent(message, types, parts.personalData),
    ),
  );
  const ofCustomer = events.filter(({ data }) => JSON.stringify(Object.values(data)).includes(`"${customerId}"`));
  return ofCustomer.sort((one, other) => one.sequence - other.sequence);
}

const kinds = (events: RecordedEvent[]) => events.map(({ type }) => type.split('.').at(-1));

test('an erasure is on record with who and why, destroys every key, and is told', async () => {
  const { id } = await parts.personalData.keyOf('anna');

  const { keysDestroyed, position } = await erase({ customerId: 'anna' });

  expect(keysDestroyed).toBe(1);
  expect(await parts.personalData.find(id)).toBeUndefined();
  const events = await recorded('anna');
  expect(kinds(events)).toEqual(['CustomerErasureRequested', 'PersonalDataErased']);
  expect(events[0]).toMatchObject({ actor: 'olga', data: { note: 'asked for it', keyIds: [id] } });
  expect(BigInt(events[0]?.sequence ?? 0)).toBe(position?.sequence);
  expect(events[1]).toMatchObject({ causationId: events[0]?.id, data: { owner: 'anna', keyIds: [id] } });
});

test('the same request is one erasure, with one answer; with other content it is refused', async () => {
  await parts.personalData.keyOf('berta');
  const first = await erase({ customerId: 'berta', requestId: 'r-1' });
  const { id } = await parts.personalData.keyOf('berta');

  expect(await erase({ customerId: 'berta', requestId: 'r-1' })).toMatchObject({ keysDestroyed: first.keysDestroyed });

  // What the customer stored since is not what was asked about.
  expect(await parts.personalData.find(id)).toBeDefined();
  expect(kinds(await recorded('berta'))).toEqual(['CustomerErasureRequested', 'PersonalDataErased']);
  await expect(erase({ customerId: 'berta', requestId: 'r-1', note: 'other' })).rejects.toMatchObject({
    code: 'ALREADY_EXISTS',
  });
  await expect(erase({ customerId: 'anna', requestId: 'r-1' })).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
});

test('who comes back has another key, and is erased again; who was erased is erased to no effect', async () => {
  await parts.personalData.keyOf('clara');
  await erase({ customerId: 'clara' });
  expect(await erase({ customerId: 'clara' })).toMatchObject({ keysDestroyed: 0 });
  const { id } = await parts.personalData.keyOf('clara');
  expect(await erase({ customerId: 'clara' })).toMatchObject({ keysDestroyed: 1 });

  // All of them are told each time: a backup may have brought back what an earlier one had sealed.
  const [last] = (await recorded('clara')).slice(-1);
  expect(last).toMatchObject({ data: { owner: 'clara', keyIds: ['Y2xhcmE.1', id] } });
});

test.each([
  [
    'of whom nothing was stored',
    { customerId: 'nobody' },
    { code: 'NOT_FOUND', details: { reason: 'CUSTOMER_UNKNOWN' } },
  ],
  [
    'without a name',
    { customerId: '' },
    { code: 'INVALID_ARGUMENT', details: { violations: [{ field: 'customer_id' }] } },
  ],
  [
    'without a reason',
    { note: '', customerId: 'x' },
    { code: 'INVALID_ARGUMENT', details: { violations: [{ field: 'note' }] } },
  ],
])('a customer %s is not erased, and nothing is recorded', async (_, asked, refused) => {
  await expect(erase(asked)).rejects.toMatchObject(refused);
  expect(await recorded(asked.customerId || '?')).toEqual([]);
});

test.each(['before the first key', 'before it is told'])(
  'a process that dies %s leaves an erasure that another one finishes',
  async (moment) => {
    const customerId = `diana ${moment}`;
    const { id } = await parts.personalData.keyOf(customerId);
    const dying: PersonalData = Object.create(parts.personalData, {
      keysOf: { value: (owner: string) => parts.personalData.keysOf(owner) },
      destroyKeys: {
        async value(ids: string[]) {
          if (moment !== 'before the first key') await parts.personalData.destroyKeys(ids);
          throw new Error('the process is gone');
        },
      },
    });
    // It takes calls and nothing else, as a process does that dies in one.
    const gone = await operations({ ...parts, personalData: dying });
    onTestFinished(() => gone.stop());

    await expect(erase({ customerId }, 'olga', gone)).rejects.toThrow('the process is gone');

    await expect.poll(async () => kinds(await recorded(customerId))).toContain('PersonalDataErased');
    expect(await parts.personalData.find(id)).toBeUndefined();
  },
);
