import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { headers } from '@nats-io/transport-node';
import { describe, expect, test } from 'vitest';
import {
  AccountOpenedSchema,
  AccountStateSchema,
  file_causeway_testing_v1_account,
  MoneyDepositedSchema,
  MoneyWithdrawnSchema,
  PaidInSchema,
} from '#gen/causeway/testing/v1/account_pb.js';
import { PermanentError } from './errors.ts';
import {
  type EventContext,
  EventTypes,
  eventHeaders,
  eventsIn,
  readEvent,
  type StoredMessage,
  upcaster,
} from './event.ts';
import { subjectOf } from './partitions.ts';
import { DataKey, sealed } from './personal-data.ts';

const context: EventContext = {
  id: 'event-1',
  type: MoneyDepositedSchema.typeName,
  source: 'accounts',
  key: 'account-1',
  time: new Date('2026-11-24T12:00:00.000Z'),
  version: 3,
  correlationId: 'correlation-1',
  causationId: 'request-1',
  actor: 'anna',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  tracestate: 'vendor=1',
};

const noKeys = { find: async () => undefined };
const types = new EventTypes([AccountOpenedSchema, MoneyDepositedSchema]);

function stored({
  head = eventHeaders(context),
  data,
  subject,
}: {
  head?: ReturnType<typeof headers>;
  data?: Uint8Array;
  subject?: string;
} = {}): StoredMessage {
  return {
    subject: subject ?? subjectOf('accounts', 'account', 'account-1'),
    stream: 'ACCOUNTS',
    sequence: 42,
    data: data ?? toBinary(MoneyDepositedSchema, create(MoneyDepositedSchema, { accountId: 'account-1', amount: 5n })),
    headers: head,
  };
}

function withHeader(name: string, value: string) {
  const head = eventHeaders(context);
  head.set(name, value);
  return head;
}

describe('the headers of an event', () => {
  test('are the attributes of CloudEvents 1.0 in NATS binary mode, by these names and no others', () => {
    const head = eventHeaders(context);
    expect(Object.fromEntries(head.keys().map((name) => [name, head.values(name)]))).toEqual({
      'ce-specversion': ['1.0'],
      'ce-id': ['event-1'],
      'ce-source': ['/causeway/accounts'],
      'ce-type': ['causeway.testing.v1.MoneyDeposited'],
      'ce-time': ['2026-11-24T12:00:00.000Z'],
      'ce-subject': ['account-1'],
      'content-type': ['application/protobuf'],
      'ce-dataschema': ['/proto/causeway.testing.v1.MoneyDeposited'],
      'ce-version': ['3'],
      'ce-correlationid': ['correlation-1'],
      'ce-causationid': ['request-1'],
      'ce-actor': ['anna'],
      traceparent: ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
      tracestate: ['vendor=1'],
    });
  });

  test('name no trace where there is none', () => {
    const head = eventHeaders({ ...context, traceparent: '', tracestate: '' });
    expect([head.has('traceparent'), head.has('tracestate')]).toEqual([false, false]);
  });

  test('tell of attempts where its cause took more than one', async () => {
    const attempts = async (of: EventContext) =>
      (await readEvent(stored({ head: eventHeaders(of) }), types, noKeys)).attempts;
    expect(eventHeaders({ ...context, attempts: 3 }).get('Causeway-Attempts')).toBe('3');
    expect(await attempts({ ...context, attempts: 3 })).toBe(3);
    expect(eventHeaders({ ...context, attempts: 1 }).has('Causeway-Attempts')).toBe(false);
    expect(await attempts(context)).toBe(0);
    const nonsense = await readEvent(stored({ head: withHeader('Causeway-Attempts', 'often') }), types, noKeys);
    expect(nonsense.attempts).toBe(0);
  });

  test.each(['two\r\nlines: x', ' spaces around ', 'Žofie "100 %"', '%41', '😀', '\u0000'])(
    'carry %j, chosen by a caller, there and back',
    async (chosen) => {
      const head = eventHeaders({ ...context, causationId: chosen, correlationId: chosen, actor: chosen });
      expect(head.get('ce-causationid')).toMatch(/^[!#-~]+$/);
      const event = await readEvent(stored({ head }), types, noKeys);
      expect([event.causationId, event.correlationId, event.actor]).toEqual([chosen, chosen, chosen]);
    },
  );

  test('that somebody else wrote without encoding are taken as they are', async () => {
    const event = await readEvent(stored({ head: withHeader('ce-causationid', '100%') }), types, noKeys);
    expect(event.causationId).toBe('100%');
  });
});

describe('a stored message', () => {
  test('is read back as the event it was', async () => {
    const head = withHeader('Causeway-Key', 'YW5uYQ.1');
    expect(await readEvent(stored({ head }), types, noKeys)).toEqual({
      ...context,
      keyId: 'YW5uYQ.1',
      attempts: 0,
      stream: 'ACCOUNTS',
      partition: 6,
      sequence: 42,
      subject: 'accounts.event.6.account.account-1',
      data: create(MoneyDepositedSchema, { accountId: 'account-1', amount: 5n }),
    });
  });

  test.each([
    ['without headers', stored({ head: headers() })],
    ['of an unknown type', stored({ head: withHeader('ce-type', 'causeway.testing.v1.Nothing') })],
    ['of a type that is not read here', stored({ head: withHeader('ce-type', PaidInSchema.typeName) })],
    ['without a version', stored({ head: withHeader('ce-version', '') })],
    ['of version 0', stored({ head: withHeader('ce-version', '0') })],
    ['of a version that is no number', stored({ head: withHeader('ce-version', 'three') })],
    ['without a time', stored({ head: withHeader('ce-time', '') })],
    ['that ends too early', stored({ data: Uint8Array.of(0x0a, 0x7f, 0x41) })],
    ['with a field number that does not exist', stored({ data: Uint8Array.of(0x00) })],
    ['with a text that is no UTF-8', stored({ data: Uint8Array.of(0x0a, 0x01, 0xff) })],
    ['on another subject', stored({ subject: 'accounts.notice.1.account.account-1' })],
    ['in a partition that is not its own', stored({ subject: 'accounts.event.0.account.account-1' })],
  ])('%s can never be read', async (_, message) => {
    await expect(readEvent(message, types, noKeys)).rejects.toThrow(PermanentError);
  });

  test('that is sealed, with a header that names no key, can never be read', async () => {
    const key = new DataKey('YW5uYQ.1', Buffer.alloc(32, 1));
    const opened = create(AccountOpenedSchema, { accountId: 'account-1', ownerName: 'Anna' });
    const head = withHeader('ce-type', AccountOpenedSchema.typeName);
    const data = sealed(AccountOpenedSchema, opened, 'account-1', key);
    const find = async () => {
      throw new PermanentError('"" is not the id of a key');
    };
    await expect(readEvent(stored({ head, data }), types, { find })).rejects.toThrow(PermanentError);
  });

  test('is not given up because the keys can not be reached', async () => {
    const key = new DataKey('YW5uYQ.1', Buffer.alloc(32, 1));
    const opened = create(AccountOpenedSchema, { accountId: 'account-1', ownerName: 'Anna' });
    const head = withHeader('ce-type', AccountOpenedSchema.typeName);
    const away = new Error('the broker is away');
    const find = async () => {
      throw away;
    };
    const message = stored({ head, data: sealed(AccountOpenedSchema, opened, 'account-1', key) });
    await expect(readEvent(message, types, { find })).rejects.toBe(away);
  });
});

describe('event types', () => {
  test('of a contract file are the messages that it marks as events', () => {
    expect(eventsIn(file_causeway_testing_v1_account)).toEqual([
      AccountOpenedSchema,
      MoneyDepositedSchema,
      MoneyWithdrawnSchema,
      PaidInSchema,
    ]);
  });

  test('that the contract does not mark as events are refused', () => {
    expect(() => new EventTypes([AccountStateSchema])).toThrow(
      'causeway.testing.v1.AccountState is not marked as an event',
    );
  });
});

describe('an upcaster', () => {
  const paidIn = upcaster(PaidInSchema, MoneyDepositedSchema, ({ accountId, units }) => ({
    accountId,
    amount: units * 100n,
  }));
  const old = (says: MessageInitShape<typeof PaidInSchema>) =>
    stored({
      head: withHeader('ce-type', PaidInSchema.typeName),
      data: toBinary(PaidInSchema, create(PaidInSchema, says)),
    });

  test("makes today's event from an old one, which keeps its name on the wire", async () => {
    const event = await readEvent(
      old({ accountId: 'account-1', units: 7n }),
      new EventTypes([MoneyDepositedSchema], [paidIn]),
      noKeys,
    );
    expect(event.type).toBe('causeway.testing.v1.PaidIn');
    expect(event.data).toEqual(create(MoneyDepositedSchema, { accountId: 'account-1', amount: 700n }));
  });

  test('is followed by the next, until the type is of today', async () => {
    const turned = upcaster(MoneyDepositedSchema, MoneyWithdrawnSchema, ({ accountId, amount }) => ({
      accountId,
      amount: -amount,
    }));
    const event = await readEvent(old({ units: 7n }), new EventTypes([MoneyWithdrawnSchema], [paidIn, turned]), noKeys);
    expect(event.data).toEqual(create(MoneyWithdrawnSchema, { amount: -700n }));
  });

  test('to a type that is not read here is refused at once', () => {
    expect(() => new EventTypes([MoneyWithdrawnSchema], [paidIn])).toThrow('which is not read here');
  });
});
