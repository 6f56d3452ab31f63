import { randomUUID } from 'node:crypto';
import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  getOption,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { anyPack, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { headers } from '@nats-io/transport-node';
import { beforeAll, expect, test, vi } from 'vitest';
import {
  CaptureRequestedSchema,
  FulfilmentNeedsAttentionSchema,
  StockRequestedSchema,
} from '#gen/causeway/fulfilment/v1/events_pb.js';
import {
  type DeadLetterReplayRequested,
  type ParkedKeyTaken,
  Resolution,
} from '#gen/causeway/operations/v1/events_pb.js';
import { FulfilmentStatus, OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { type OrderPlaced, OrderPlacedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import { open } from '#gen/causeway/rpc/v1/options_pb.js';
import { EventTypes, Header, readEvent, type StoredMessage } from '#kit/event.ts';
import { ensureJournals, Journal } from '#kit/journal.ts';
import { Parking } from '#kit/parking.ts';
import { allPartitions, partitionOf } from '#kit/partitions.ts';
import type { Call, Caller } from '#kit/rpc/call.ts';
import type { Door } from '#kit/rpc/door.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { journalOf } from '#kit/streams.ts';
import { openTestParts, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { actAggregate } from '../adapters/act-aggregate.ts';
import { operations } from '../operations.ts';
import { openShop, type Shop, say } from '../testing/shop.ts';

const {
  listFulfilments,
  getFulfilment,
  resolveFulfilment,
  listDeadLetterGroups,
  listDeadLetters,
  getDeadLetter,
  replayDeadLetters,
  discardDeadLetters,
} = OperationsService.method;

let parts: ServiceParts;
let door: Door;

beforeAll(async () => {
  const nats = await ownNats();
  parts = await openTestParts('operations', { natsUrl: nats.url, mongodbUri: sharedMongoUri() });
  await ensureJournals(parts.broker, [journalOf('orders'), journalOf('fulfilment')]);
  const service = await operations(parts);
  door = service.doors[0] as Door;
  await service.start();
  return () => service.stop();
});

const callOf = (caller: Caller, signal = new AbortController().signal): Call => ({
  caller,
  authorization: '',
  correlationId: 'correlation-1',
  signal,
  deadline: undefined,
});
const olga = callOf({ subject: 'olga', role: 'operator' });
const otto = callOf({ subject: 'otto', role: 'operator' });

function ask<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethodUnary<Input, Output>,
  request: MessageInitShape<Input>,
  call: Call = olga,
): Promise<MessageShape<Output>> {
  return door.messages.unary(method, create(method.input, request), call) as never;
}

async function replayed(request: MessageInitShape<typeof replayDeadLetters.input>, call: Call = olga) {
  return all(replayDeadLetters, request, call);
}

async function all<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethodServerStreaming<Input, Output>,
  request: MessageInitShape<Input>,
  call: Call,
): Promise<MessageShape<Output>[]> {
  const answers: MessageShape<Output>[] = [];
  for await (const each of door.messages.stream(method, create(method.input, request), call))
    answers.push(each as never);
  return answers;
}

const shop = (refuses?: (order: OrderPlaced) => boolean) => openShop(parts, refuses);

/** The keys that a shop has parked, as the door lists them. */
async function parkedOf({ name: consumer }: Shop) {
  return (await ask(listDeadLetters, { filter: { consumer }, pageSize: 100 })).keys;
}

const methods = (orders: readonly OrderPlaced[]) => orders.map(({ paymentMethod }) => paymentMethod);

/** The acts on a consumer's letters, as an auditor reads them: who, and what in which order. */
async function audit({ name }: Shop) {
  const journal = new Journal(journalOf('operations'), parts.broker);
  const types = new EventTypes(Object.values(actAggregate.events));
  const messages: StoredMessage[] = [];
  for (const partition of allPartitions)
    messages.push(...(await journal.history(`operations.event.${partition}.act.*`)));
  messages.sort((one, other) => one.sequence - other.sequence);
  const events = await Promise.all(messages.map((message) => readEvent(message, types, parts.personalData)));
  const acts = new Set(events.filter(({ data }) => JSON.stringify(data, bigints).includes(name)).map(({ key }) => key));
  return events.filter(({ key }) => acts.has(key));
}

const bigints = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);
const kinds = (events: { type: string }[]) => events.map(({ type }) => type.split('.').at(-1));

const build = { service: 'orders', view: 'orders', build: 2, reason: 'please' };

/** Requests of methods that refuse an empty one. */
const requests: Record<string, Record<string, unknown>> = {
  getFulfilment: { orderId: randomUUID() },
  resolveFulfilment: { orderId: randomUUID(), resolution: Resolution.RETRY, note: 'please' },
  getDeadLetter: { sequence: 1n },
  discardDeadLetters: { all: true, reason: 'please' },
  getEvent: { stream: 'ORDERS', sequence: 1n },
  rebuildProjection: build,
  switchProjection: build,
  discardProjectionBuild: build,
  compareProjection: build,
  eraseCustomer: { customerId: 'alice', note: 'please' },
};

test.each(OperationsService.methods.filter((method) => !getOption(method, open)))(
  'nobody but an operator may ask for $name',
  async (method) => {
    const alice = callOf({ subject: 'alice', role: 'customer' });
    const request = requests[method.localName] ?? {};
    const asked =
      method.methodKind === 'unary' ? ask(method as never, request, alice) : all(method as never, request, alice);
    await expect(asked).rejects.toMatchObject({ code: 'PERMISSION_DENIED', details: { reason: 'ROLE_MISSING' } });
  },
);

test('parked messages are listed key by key, page by page, with what each waits for', async () => {
  const greeter = await shop();
  const keys: string[] = [];
  for (const count of [1, 2, 1]) keys.push(await greeter.park(count));

  const filter = { consumer: greeter.name };
  const first = await ask(listDeadLetters, { filter, pageSize: 2 });
  const second = await ask(listDeadLetters, { filter, pageSize: 2, pageToken: first.nextPageToken });

  expect([first.total, first.keys.length, second.keys.length, second.nextPageToken]).toEqual([3, 2, 1, '']);
  const found = [...first.keys, ...second.keys];
  expect(found.map(({ key }) => key).sort()).toEqual(keys.toSorted());
  const [twice] = found.filter(({ key }) => key === keys[1]);
  expect(twice).toMatchObject({ partition: partitionOf(keys[1] as string), messages: 2, consumer: greeter.name });
  expect(twice?.first).toMatchObject({
    reason: 'REFUSED',
    error: 'pm-1 is refused',
    attempts: 1,
    stream: 'ORDERS',
    eventType: OrderPlacedSchema.typeName,
    correlationId: `correlation of ${keys[1]}`,
  });
  await expect(ask(listDeadLetters, { pageToken: 'nonsense' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect((await ask(listDeadLetters, { filter: { ...filter, reason: 'FAILED' } })).total).toBe(0);
});

test('what is parked is told in groups, by consumer, reason and type, with how much there is of each', async () => {
  const greeter = await shop();
  await greeter.park(2);
  await greeter.park(1);

  const { groups } = await ask(listDeadLetterGroups, {});

  const type = 'causeway.orders.v1.OrderPlaced';
  const own = groups.filter(({ consumer }) => consumer === greeter.name);
  expect(own).toMatchObject([
    { reason: 'REFUSED', eventType: type, keys: 2, messages: 3n, error: 'pm-1 is refused', oldestParkedAt: {} },
  ]);
});

test('what is no event has no key, and is told from the same of another partition', async () => {
  const { name: consumer } = await shop();
  const parking = await Parking.open(parts.broker, consumer);
  const lost = (partition: number, sequence: number) => ({
    ...{ subject: `orders.event.${partition}.lost`, sequence, stream: 'ORDERS' },
    ...{ data: new Uint8Array(), headers: headers() },
  });
  const note = { reason: 'CANNOT_DECODE', error: 'no event', attempts: 1 } as const;
  for (const message of [lost(1, 1), lost(1, 2), lost(5, 3)]) await parking.park(message, note);

  const { keys } = await ask(listDeadLetters, { filter: { consumer } });
  const { parked } = await ask(getDeadLetter, { sequence: keys[1]?.first?.sequence ?? 0n });

  expect(keys).toMatchObject([
    { partition: 1, key: '~', messages: 2 },
    { partition: 5, key: '~', messages: 1 },
  ]);
  expect(parked).toBe(1);
});

test('where there is no stream of dead letters, nothing is parked', async () => {
  const own = await openTestParts('operations', { natsUrl: (await ownNats()).url, mongodbUri: sharedMongoUri() });
  const service = await operations(own);
  const { messages } = service.doors[0] as Door;
  const list = () => messages.unary(listDeadLetters, create(listDeadLetters.input, {}), olga);
  const nothing = { keys: [], total: 0 };

  // Before the service has started, and so before any stream is there.
  expect(await list()).toMatchObject(nothing);
  await own.broker.manager.streams.delete('DEAD_LETTERS');
  expect(await list()).toMatchObject(nothing);
});

test('a letter is shown with what it says, its personal data sealed, and what waits behind it', async () => {
  const greeter = await shop();
  const key = await greeter.park(3);
  const [row] = await parkedOf(greeter);

  const { letter, behind, parked } = await ask(getDeadLetter, { sequence: row?.first?.sequence ?? 0n });

  expect(letter?.data?.typeUrl).toBe(`type.googleapis.com/${OrderPlacedSchema.typeName}`);
  const order = fromBinary(OrderPlacedSchema, letter?.data?.value ?? new Uint8Array());
  expect(order).toMatchObject({ orderId: key, paymentMethod: 'pm-1', email: '' });
  expect(order.sealed.length).toBeGreaterThan(0);
  expect(Buffer.from(letter?.raw ?? []).includes('alice@example.org')).toBe(false);
  expect(letter?.headers['ce-subject']).toBe(key);
  expect(letter?.headers[Header.state]).toBeUndefined();
  expect(behind.map(({ reason }) => reason)).toEqual(['BEHIND_A_PARKED_MESSAGE', 'BEHIND_A_PARKED_MESSAGE']);
  expect(parked).toBe(3);
  await expect(ask(getDeadLetter, { sequence: 1_000_000n })).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('a replay handles each key of the selection first to last, and tells how far it is', async () => {
  const greeter = await shop();
  const keys = [await greeter.park(2), await greeter.park(1)];
  greeter.mend();

  const answers = await replayed({ filter: { consumer: greeter.name }, reason: 'mended' });

  expect(answers.map(({ keysDone, keysTotal }) => [keysDone, keysTotal])).toEqual([
    [1, 2],
    [2, 2],
  ]);
  expect(Object.fromEntries(answers.map(({ key, handled, remaining }) => [key, [handled, remaining]]))).toEqual({
    [keys[0] as string]: [2, 0],
    [keys[1] as string]: [1, 0],
  });
  expect(methods(greeter.handled.filter(({ orderId }) => orderId === keys[0]))).toEqual(['pm-1', 'pm-2']);
  expect(greeter.handled[0]).toMatchObject({ email: 'alice@example.org' });
  expect(await parkedOf(greeter)).toEqual([]);
});

test('what is replayed is on record before, with who and which messages; and so is what came of it', async () => {
  const greeter = await shop();
  const key = await greeter.park(2);
  const [row] = await parkedOf(greeter);
  greeter.mend();

  await replayed({ filter: { consumer: greeter.name }, reason: 'mended', requestId: randomUUID() });

  const events = await audit(greeter);
  expect(kinds(events)).toEqual([
    'DeadLetterReplayRequested',
    'ParkedKeyTaken',
    'ParkedKeyReplayed',
    'DeadLetterActEnded',
  ]);
  expect(new Set(events.map(({ actor, correlationId }) => `${actor} ${correlationId}`))).toEqual(
    new Set(['olga correlation-1']),
  );
  expect(events[0]?.data).toMatchObject({ note: 'mended', selection: { consumer: greeter.name, all: false } });
  const taken = events[1]?.data as ParkedKeyTaken;
  expect(taken).toMatchObject({ key, messages: 2, listed: [{ stream: 'ORDERS', eventId: row?.first?.eventId }, {}] });
  expect(events[2]?.data).toMatchObject({ key, handled: 2, remaining: 0, error: '' });
  expect(events[3]?.data).toMatchObject({ keys: 1, messages: 2, interrupted: false });
});

test('a key that fails again is told with its error, and the others go on', async () => {
  const greeter = await shop(({ paymentMethod }) => paymentMethod === 'pm-2');
  const failing = randomUUID();
  await greeter.place(failing, 'pm-2');
  await expect.poll(() => parkedOf(greeter)).toHaveLength(1);

  const [again] = await replayed({ filter: { consumer: greeter.name } });

  expect(again).toMatchObject({ key: failing, handled: 0, remaining: 1, error: 'pm-2 is refused' });
  expect((await parkedOf(greeter))[0]?.first).toMatchObject({ attempts: 2 });
  await greeter.consumer.stop();
  const [unowned] = await replayed({ filter: { consumer: greeter.name } });
  expect(unowned).toMatchObject({ handled: 0, remaining: 1, error: expect.stringContaining('nobody owns') });
});

test('nothing chosen is refused, unless all is said on purpose', async () => {
  for (const filter of [undefined, {}, { consumer: '' }]) {
    const nothing = { code: 'INVALID_ARGUMENT', details: { violations: [{ field: 'filter' }] } };
    await expect(replayed({ ...(filter && { filter }) })).rejects.toMatchObject(nothing);
    await expect(ask(discardDeadLetters, { ...(filter && { filter }), reason: 'x' })).rejects.toMatchObject(nothing);
  }
});

test('a dry run says what would be replayed, and does and records nothing', async () => {
  const greeter = await shop();
  const key = await greeter.park(2);
  greeter.mend();

  const answers = await replayed({ filter: { consumer: greeter.name }, dryRun: true });

  expect(answers).toMatchObject([{ key, handled: 0, remaining: 2, error: 'pm-1 is refused', keysTotal: 1 }]);
  expect(greeter.handled).toEqual([]);
  expect(await audit(greeter)).toEqual([]);
});

test('the same request again is answered the same, and does nothing; with other content it is refused', async () => {
  const greeter = await shop();
  await greeter.park(1);
  greeter.mend();
  const request = { filter: { consumer: greeter.name }, requestId: randomUUID() };

  const first = await replayed(request);
  const second = await replayed(request);

  expect(second).toEqual(first);
  expect(greeter.handled).toHaveLength(1);
  const differs = { code: 'ALREADY_EXISTS', details: { reason: 'REQUEST_DIFFERS' } };
  await expect(replayed({ ...request, filter: { consumer: 'other' } })).rejects.toMatchObject(differs);
  await expect(ask(discardDeadLetters, { ...request, reason: 'x' })).rejects.toMatchObject(differs);
  // Another caller's requests are others.
  expect(await replayed(request, otto)).toEqual([]);
});

test('the same request twice at once is carried out once, and both are answered', async () => {
  const greeter = await shop();
  await greeter.park(2);
  greeter.mend();
  const request = { filter: { consumer: greeter.name }, requestId: randomUUID() };

  const [one, other] = await Promise.all([replayed(request), replayed(request)]);

  expect(one).toEqual(other);
  expect(one).toMatchObject([{ handled: 2 }]);
  expect(greeter.handled).toHaveLength(2);
});

test('a caller that goes away ends the replay after the key at work; the same request goes on', async () => {
  const greeter = await shop();
  for (let count = 0; count < 3; count++) await greeter.park(1);
  greeter.mend();
  const request = { filter: { consumer: greeter.name }, requestId: randomUUID() };
  const gone = new AbortController();

  const stream = door.messages.stream(
    replayDeadLetters,
    create(replayDeadLetters.input, request),
    callOf(olga.caller, gone.signal),
  );
  for await (const _ of stream) {
    gone.abort();
    break;
  }

  expect(await parkedOf(greeter)).toHaveLength(2);
  expect(kinds(await audit(greeter)).at(-1)).toBe('DeadLetterActEnded');
  const answers = await replayed(request);
  expect(answers.map(({ keysDone, keysTotal }) => [keysDone, keysTotal])).toEqual([
    [1, 3],
    [2, 3],
    [3, 3],
  ]);
  expect(greeter.handled).toHaveLength(3);
  expect(await parkedOf(greeter)).toEqual([]);
});

test('an edited message is handled as it was edited, with its personal data as it was', async () => {
  const greeter = await shop(({ paymentMethod }) => paymentMethod !== 'pm_ok');
  const key = await greeter.park(2);
  const filter = { consumer: greeter.name, key };
  const edited = anyPack(OrderPlacedSchema, create(OrderPlacedSchema, { orderId: key, paymentMethod: 'pm_ok' }));
  const request = { filter, edited, requestId: randomUUID(), reason: 'the method was misspelled' };

  const answers = await replayed(request);

  expect(answers).toMatchObject([{ key, handled: 1, remaining: 1, error: 'pm-2 is refused' }]);
  expect(greeter.handled).toMatchObject([{ orderId: key, paymentMethod: 'pm_ok', email: 'alice@example.org' }]);
  const [requested] = await audit(greeter);
  const recorded = requested?.data as DeadLetterReplayRequested | undefined;
  expect(fromBinary(OrderPlacedSchema, recorded?.edited ?? new Uint8Array())).toMatchObject({
    paymentMethod: 'pm_ok',
    email: '',
  });
  // The edit was the first message's: it is not made again on the one that is the first by now.
  expect(await replayed(request)).toEqual(answers);
  expect(greeter.handled).toHaveLength(1);
});

test('an edit of what is personal, of another type, or of more than one key is refused, with the field', async () => {
  const greeter = await shop();
  const key = await greeter.park(1);
  const filter = { consumer: greeter.name, key };
  const order = (fields: MessageInitShape<typeof OrderPlacedSchema>) =>
    anyPack(OrderPlacedSchema, create(OrderPlacedSchema, fields));
  const of = (field: string) => ({ code: 'INVALID_ARGUMENT', details: { violations: [{ field }] } });

  const withEmail = { filter, edited: order({ orderId: key, email: 'eve@example.org' }) };
  await expect(replayed(withEmail)).rejects.toMatchObject(of('edited.email'));
  const withSealed = { filter, edited: order({ orderId: key, sealed: Buffer.from('other') }) };
  await expect(replayed(withSealed)).rejects.toMatchObject(of('edited.sealed'));
  const asOther = { filter, edited: anyPack(CaptureRequestedSchema, create(CaptureRequestedSchema)) };
  await expect(replayed(asOther)).rejects.toMatchObject(of('edited'));
  const broken = { ...order({}), value: Buffer.from([255]) };
  await expect(replayed({ filter, edited: broken })).rejects.toMatchObject(of('edited'));
  await expect(replayed({ filter: { key }, edited: order({}) })).rejects.toMatchObject(of('filter.consumer'));
  await expect(replayed({ filter: { consumer: greeter.name }, edited: order({}) })).rejects.toMatchObject(
    of('filter.key'),
  );
  const huge = { filter, edited: order({ orderId: key, paymentMethod: 'x'.repeat(70_000) }) };
  await expect(replayed(huge)).rejects.toMatchObject(of('edited'));
  const nobodys = { filter: { ...filter, key: randomUUID() }, edited: order({}) };
  await expect(replayed(nobodys)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(await audit(greeter)).toEqual([]);

  // As it was shown: what is sealed in it is its own.
  const sequence = (await parkedOf(greeter))[0]?.first?.sequence ?? 0n;
  const { letter } = await ask(getDeadLetter, { sequence });
  greeter.mend();
  const asShown = { filter, requestId: randomUUID(), ...(letter?.data === undefined ? {} : { edited: letter.data }) };
  const answers = await replayed(asShown);
  expect(answers).toMatchObject([{ handled: 1, remaining: 0 }]);
  // Its message is gone: what it was edited to is on record.
  expect(await replayed(asShown)).toEqual(answers);
  expect(greeter.handled).toMatchObject([{ email: 'alice@example.org' }]);
});

test('discarded messages are gone, on record with who, which and why; a repeat does nothing', async () => {
  const greeter = await shop();
  const key = await greeter.park(3);
  const request = { filter: { consumer: greeter.name, key }, reason: 'greeted by hand', requestId: randomUUID() };

  const first = await ask(discardDeadLetters, { ...request, firstOnly: true });
  const second = await ask(discardDeadLetters, { ...request, firstOnly: true });

  expect([first, second]).toMatchObject([
    { discarded: 1, keys: 1 },
    { discarded: 1, keys: 1 },
  ]);
  expect((await parkedOf(greeter))[0]).toMatchObject({ messages: 2, first: { reason: 'BEHIND_A_PARKED_MESSAGE' } });
  const rest = await ask(discardDeadLetters, { ...request, requestId: randomUUID() });
  expect(rest).toMatchObject({ discarded: 2, keys: 1 });
  expect(await parkedOf(greeter)).toEqual([]);
  const events = await audit(greeter);
  expect(kinds(events).slice(0, 4)).toEqual([
    'DeadLetterDiscardRequested',
    'ParkedKeyTaken',
    'ParkedKeyDiscarded',
    'DeadLetterActEnded',
  ]);
  expect(events[0]?.data).toMatchObject({ note: 'greeted by hand', firstOnly: true });
  expect(events[2]?.data).toMatchObject({ key, discarded: 1 });
  // The key is not parked any more: what comes next is handled.
  greeter.mend();
  await greeter.place(key, 'pm-4');
  await expect.poll(() => methods(greeter.handled)).toEqual(['pm-4']);
});

test('what nobody can discard now is said, and the same request does it later', async () => {
  const greeter = await shop();
  await greeter.park(1);
  await greeter.consumer.stop();
  const request = { filter: { consumer: greeter.name }, reason: 'greeted by hand', requestId: randomUUID() };

  await expect(ask(discardDeadLetters, request)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await greeter.consumer.own(allPartitions);

  await vi.waitFor(
    async () => expect(await ask(discardDeadLetters, request)).toMatchObject({ discarded: 1, keys: 1 }),
    { timeout: 20_000 },
  );
  expect(await parkedOf(greeter)).toEqual([]);
});

function sayOf<Desc extends DescMessage>(orderId: string, type: Desc, says: MessageInitShape<Desc>): Promise<void> {
  return say(parts, { service: 'fulfilment', aggregate: 'fulfilment', key: orderId }, type, says);
}

/** A fulfilment that has come so far. */
async function fulfilment(...said: [DescMessage, object][]): Promise<string> {
  const orderId = randomUUID();
  for (const [type, says] of said) await sayOf(orderId, type, { orderId, ...says } as never);
  return orderId;
}

const stockRequested: [DescMessage, object] = [
  StockRequestedSchema,
  { deadline: timestampFromDate(new Date(Date.now() - 1_000)) },
];
const needsAttention: [DescMessage, object] = [FulfilmentNeedsAttentionSchema, { problem: 'CAPTURE_REFUSED' }];

test('fulfilments are read with their steps, also those that are overdue', async () => {
  const orderId = await fulfilment(stockRequested);
  const done = await fulfilment(stockRequested, needsAttention);
  const isThere = () => ask(getFulfilment, { orderId: done }).then(({ fulfilment }) => fulfilment?.status);

  await expect.poll(() => isThere().catch(() => undefined)).toBe(FulfilmentStatus.NEEDS_ATTENTION);

  await expect
    .poll(async () => (await ask(listFulfilments, { overdue: true })).fulfilments.map((each) => each.orderId))
    .toContain(orderId);
  const { fulfilments } = await ask(listFulfilments, { status: FulfilmentStatus.NEEDS_ATTENTION });
  expect(fulfilments.map((each) => each.orderId)).toEqual([done]);
  await expect(ask(getFulfilment, { orderId: randomUUID() })).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('a fulfilment that needs attention is settled once, by one operator, and that is among its steps', async () => {
  const orderId = await fulfilment(stockRequested, needsAttention);
  const request = { orderId, resolution: Resolution.RETRY, note: 'the provider works again', requestId: randomUUID() };

  const first = await ask(resolveFulfilment, request);
  const again = await ask(resolveFulfilment, request);
  expect(again).toEqual(first);

  const settled = { code: 'FAILED_PRECONDITION', details: { reason: 'RESOLUTION_ASKED_FOR' } };
  await expect(ask(resolveFulfilment, { ...request, requestId: '' }, otto)).rejects.toMatchObject(settled);
  const found = await ask(getFulfilment, { orderId, atLeast: first.position === undefined ? [] : [first.position] });
  expect(found.fulfilment?.steps.map(({ note }) => note)).toContain('RETRY by olga: the provider works again');

  await sayOf(orderId, CaptureRequestedSchema, { orderId });
  // The same request is answered the same, although nothing is to be settled any more.
  expect(await ask(resolveFulfilment, request)).toEqual(first);
  const needsNone = { code: 'FAILED_PRECONDITION', details: { reason: 'FULFILMENT_NEEDS_NO_ATTENTION' } };
  await expect(ask(resolveFulfilment, { ...request, requestId: randomUUID() })).rejects.toMatchObject(needsNone);

  await sayOf(orderId, FulfilmentNeedsAttentionSchema, { orderId });
  const next = await ask(resolveFulfilment, { ...request, requestId: randomUUID() }, otto);
  expect(next.position?.sequence).toBeGreaterThan(first.position?.sequence ?? 0n);
});

test('of many operators at once, one settles it', async () => {
  const orderId = await fulfilment(stockRequested, needsAttention);

  const asked = await Promise.allSettled(
    Array.from({ length: 10 }, (_, number) =>
      ask(
        resolveFulfilment,
        { orderId, resolution: number % 2 === 0 ? Resolution.RETRY : Resolution.SETTLED, note: `by ${number}` },
        callOf({ subject: `operator-${number}`, role: 'operator' }),
      ),
    ),
  );

  expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

test('what needs no attention is not settled; a request id is for one fulfilment', async () => {
  const requestId = randomUUID();
  const [waiting, one, other] = [
    await fulfilment(stockRequested),
    await fulfilment(stockRequested, needsAttention),
    await fulfilment(stockRequested, needsAttention),
  ];
  const resolve = (orderId: string, id = '') =>
    ask(resolveFulfilment, { orderId, resolution: Resolution.SETTLED, note: 'paid by bank', requestId: id });

  await expect(resolve(waiting)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  await expect(resolve(randomUUID(), requestId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await resolve(one, requestId);
  await expect(resolve(other, requestId)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  const replay = replayed({ filter: { consumer: 'nobody' }, requestId });
  await expect(replay).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
});
