import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { PartitionsAssignedSchema } from '#gen/causeway/events/v1/partitions_assigned_pb.js';
import { ListRebalancesRequestSchema } from '#gen/causeway/operations/v1/flow_pb.js';
import { eventHeaders } from '#kit/event.ts';
import { ensureJournals } from '#kit/journal.ts';
import { subjectOf } from '#kit/partitions.ts';
import type { Call } from '#kit/rpc/call.ts';
import { NOTICES } from '#kit/streams.ts';
import { openTestParts, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { rebalanceMethods } from './rebalance-methods.ts';

const nats = await ownNats();
const { broker } = await openTestParts('operations', { natsUrl: nats.url, mongodbUri: sharedMongoUri() });
const methods = rebalanceMethods({ broker });

const callOf = (role: 'operator' | 'customer'): Call => ({
  caller: { subject: 'olga', role },
  authorization: '',
  correlationId: '',
  signal: new AbortController().signal,
  deadline: undefined,
});

const at = new Date('2026-11-24T12:00:00.000Z');

async function told(id: string, says: MessageInitShape<typeof PartitionsAssignedSchema>): Promise<void> {
  const { service = '', member = '' } = says;
  const headers = eventHeaders({
    ...{ id, type: PartitionsAssignedSchema.typeName, source: service, key: service, time: at, version: 1 },
    ...{ correlationId: member, causationId: member, actor: service, traceparent: '', tracestate: '' },
  });
  const data = toBinary(PartitionsAssignedSchema, create(PartitionsAssignedSchema, says));
  await broker.js.publish(subjectOf('notices', 'service', service), data, { headers });
}

async function listed(request: MessageInitShape<typeof ListRebalancesRequestSchema>) {
  const { rebalances = [] } = await methods.listRebalances(
    create(ListRebalancesRequestSchema, request),
    callOf('operator'),
  );
  return rebalances.map(({ eventId }) => eventId);
}

test('who came to own what is told, the newest first, of all services or one; what is no such event is passed over', async () => {
  await ensureJournals(broker, [NOTICES]);
  expect(await listed({})).toEqual([]);
  const assigned = {
    service: 'orders',
    member: 'm-1',
    host: 'one',
    partitions: [1, 2],
    gained: [2],
    lost: [3],
    members: 2,
  };
  await told('first', assigned);
  await broker.js.publish(subjectOf('notices', 'service', 'orders'), 'no event');
  await told('second', { service: 'payments', member: 'm-2', gained: [1] });
  await told('third', { service: 'orders', member: 'm-3', gained: [4] });

  expect(await listed({})).toEqual(['third', 'second', 'first']);
  expect(await listed({ service: 'orders' })).toEqual(['third', 'first']);
  expect(await listed({ service: 'orders', pageSize: 1 })).toEqual(['third']);
  expect(await listed({ service: 'nobody' })).toEqual([]);
  const { rebalances } = await methods.listRebalances(
    create(ListRebalancesRequestSchema, { service: 'orders' }),
    callOf('operator'),
  );
  const { member: instanceId, members: instances, ...says } = assigned;
  expect(rebalances?.at(-1)).toMatchObject({ eventId: 'first', instanceId, instances, ...says, at: {} });
});

test('it is for operators, and for services that can be', async () => {
  const request = create(ListRebalancesRequestSchema, { service: 'orders.>' });
  await expect(methods.listRebalances(request, callOf('operator'))).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    details: { violations: [{ field: 'service' }] },
  });
  await expect(methods.listRebalances(request, callOf('customer'))).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
  });
});
