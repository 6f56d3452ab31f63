import { create, createFileRegistry, type DescMessage, fromBinary, setExtension, toBinary } from '@bufbuild/protobuf';
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
  type FileDescriptorSet,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { DiscardPolicy, StorageType, type StreamConfig } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { headers } from '@nats-io/transport-node';
import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { personal, sealed as sealedOption } from '#gen/causeway/events/v1/options_pb.js';
import { AccountOpenedSchema, AccountStateSchema, MoneyDepositedSchema } from '#gen/causeway/testing/v1/account_pb.js';
import { type Broker, connectBroker } from './broker.ts';
import { PermanentError, UnavailableError } from './errors.ts';
import {
  DataKey,
  hasPersonalData,
  MasterKeyError,
  PERSONAL_DATA_BUCKET,
  PersonalData,
  sealed,
  unsealed,
} from './personal-data.ts';
import { StreamDriftError, StreamFullError } from './streams.ts';
import { startProxy } from './testing/proxy.ts';
import { type OwnServer, ownNats } from './testing/servers.ts';

const key = new DataKey('YW5uYQ.1', Buffer.alloc(32, 1));
const opened = create(AccountOpenedSchema, { accountId: 'account-1', ownerName: 'Anna Karenina' });
const only = (known: DataKey) => ({ find: async (id: string) => (id === known.id ? known : undefined) });

describe('a sealed message', () => {
  const bytes = sealed(AccountOpenedSchema, opened, 'account-1', key);

  test('has a nonce that no other one has, however many there are', () => {
    const nonces = Array.from({ length: 2_000 }, () =>
      Buffer.from(key.encrypt(Buffer.alloc(0), 'here').subarray(1, 13)).toString('hex'),
    );
    expect(new Set(nonces).size).toBe(2_000);
  });

  test('holds its personal fields unreadable, and the others readable', () => {
    expect(Buffer.from(bytes).includes('Anna')).toBe(false);
    const stored = fromBinary(AccountOpenedSchema, bytes);
    expect([stored.accountId, stored.ownerName]).toEqual(['account-1', '']);
  });

  test('is opened with its key, and says what it said', async () => {
    expect(await unsealed(AccountOpenedSchema, bytes, 'account-1', key.id, only(key))).toEqual(opened);
  });

  test('leaves the message that was sealed as it was', () => {
    expect(opened).toEqual(create(AccountOpenedSchema, { accountId: 'account-1', ownerName: 'Anna Karenina' }));
  });

  test('is never sealed the same way twice', () => {
    expect(sealed(AccountOpenedSchema, opened, 'account-1', key)).not.toEqual(bytes);
  });

  test('has its personal fields empty after its key was destroyed, and the rest readable', async () => {
    const message = await unsealed(AccountOpenedSchema, bytes, 'account-1', key.id, { find: async () => undefined });
    expect(message).toEqual(create(AccountOpenedSchema, { accountId: 'account-1' }));
  });

  test('does not open for another aggregate', async () => {
    await expect(unsealed(AccountOpenedSchema, bytes, 'account-2', key.id, only(key))).rejects.toThrow(PermanentError);
  });

  test('does not open as a message of another type', async () => {
    const { sealed: moved } = fromBinary(AccountOpenedSchema, bytes);
    const state = toBinary(AccountStateSchema, create(AccountStateSchema, { sealed: moved }));
    await expect(unsealed(AccountStateSchema, state, 'account-1', key.id, only(key))).rejects.toThrow(PermanentError);
  });

  test('does not open with another key', async () => {
    const other = new DataKey(key.id, Buffer.alloc(32, 2));
    await expect(unsealed(AccountOpenedSchema, bytes, 'account-1', key.id, only(other))).rejects.toThrow(
      PermanentError,
    );
  });

  test.each([
    ['cut short', (bytes: Uint8Array) => bytes.subarray(0, 20)],
    ['of another format', (bytes: Uint8Array) => Buffer.concat([Buffer.of(9), bytes.subarray(1)])],
    [
      'changed by a bit',
      (bytes: Uint8Array) => Buffer.concat([bytes.subarray(0, -1), Buffer.of((bytes.at(-1) ?? 0) ^ 1)]),
    ],
  ])('does not open when it was %s', (_, change) => {
    expect(() => key.decrypt(change(key.encrypt(Buffer.from('Anna'), 'here')), 'here')).toThrow(PermanentError);
  });

  test('can not be made without a key', () => {
    expect(() => sealed(AccountOpenedSchema, opened, 'account-1', undefined)).toThrow('no key was given');
  });

  test('is not made of what has no personal fields', async () => {
    const deposited = create(MoneyDepositedSchema, { accountId: 'account-1', amount: 5n });
    const bytes = sealed(MoneyDepositedSchema, deposited, 'account-1', undefined);
    expect(bytes).toEqual(toBinary(MoneyDepositedSchema, deposited));
    expect(hasPersonalData(MoneyDepositedSchema)).toBe(false);
  });
});

describe('a contract', () => {
  type Field = { name: string; personal?: boolean; sealed?: boolean; message?: string; oneof?: boolean };

  /** A message type with these fields, and one named `Person` with a personal name to put in it. */
  function messageType(fields: Field[]): DescMessage {
    const messages = {
      Person: [
        { name: 'name', personal: true },
        { name: 'seal', sealed: true },
      ],
      It: fields,
    };
    const file = create(FileDescriptorProtoSchema, {
      name: 'contract.proto',
      package: 'contract',
      syntax: 'proto3',
      messageType: Object.entries(messages).map(([name, list]) => ({
        name,
        oneofDecl: list.some(({ oneof }: Field) => oneof) ? [{ name: 'choice' }] : [],
        field: list.map((field, index) => fieldOf(field, index + 1)),
      })),
    });
    const set: FileDescriptorSet = create(FileDescriptorSetSchema, { file: [file] });
    const type = createFileRegistry(set).getMessage('contract.It');
    if (type === undefined) throw new Error('the registry lost it');
    return type;
  }

  function fieldOf(field: Field, number: number) {
    const options = create(FieldOptionsSchema);
    if (field.personal) setExtension(options, personal, true);
    if (field.sealed) setExtension(options, sealedOption, true);
    const { MESSAGE, BYTES, STRING } = FieldDescriptorProto_Type;
    return create(FieldDescriptorProtoSchema, {
      name: field.name,
      number,
      label: FieldDescriptorProto_Label.OPTIONAL,
      type: field.message ? MESSAGE : field.sealed ? BYTES : STRING,
      options,
      ...(field.message ? { typeName: `.contract.${field.message}` } : {}),
      ...(field.oneof ? { oneofIndex: 0 } : {}),
    });
  }

  const seal = { name: 'seal', sealed: true };

  test('may mark a whole message as personal', async () => {
    const type = messageType([{ name: 'person', message: 'Person', personal: true }, seal]);
    const message = { person: { name: 'Anna Karenina' } };
    const bytes = sealed(type, create(type, message), 'place', key);
    expect(Buffer.from(bytes).includes('Anna')).toBe(false);
    expect(await unsealed(type, bytes, 'place', key.id, only(key))).toMatchObject(message);
  });

  test('that marks a field as personal, and none to seal it in, is refused', () => {
    expect(() => hasPersonalData(messageType([{ name: 'name', personal: true }]))).toThrow('none to seal them in');
  });

  test('with personal data deeper down, in a field that is not marked, is refused', () => {
    const type = messageType([{ name: 'person', message: 'Person' }, seal]);
    expect(() => hasPersonalData(type)).toThrow('has personal data inside');
  });

  test('with a personal field in a oneof is refused', () => {
    const type = messageType([{ name: 'name', personal: true, oneof: true }, seal]);
    expect(() => hasPersonalData(type)).toThrow("where it can't be sealed");
  });
});

describe('the keys of customers', () => {
  const masterKey = Buffer.alloc(32, 7);
  let nats: OwnServer;
  let broker: Broker;
  let personalData: PersonalData;

  beforeAll(async () => {
    nats = await ownNats();
    broker = await connectBroker({ url: nats.url, name: 'keys' });
    return () => broker.close();
  });

  beforeEach(async () => {
    personalData = await PersonalData.open(broker, masterKey);
  });

  test('are the same each time for the same owner, and differ between owners', async () => {
    const keyOfAnna = await personalData.keyOf('anna');
    expect((await personalData.keyOf('anna')).id).toBe(keyOfAnna.id);
    expect((await personalData.keyOf('boris')).id).not.toBe(keyOfAnna.id);
    const data = keyOfAnna.encrypt(Buffer.from('a letter'), 'here');
    const other = await PersonalData.open(broker, masterKey);
    expect(Buffer.from((await other.keyOf('anna')).decrypt(data, 'here')).toString()).toBe('a letter');
    await expect(personalData.keyOf('boris').then((key) => key.decrypt(data, 'here'))).rejects.toThrow(PermanentError);
  });

  test('belong to somebody', async () => {
    await expect(personalData.keyOf('')).rejects.toThrow(RangeError);
  });

  test('are one key where two processes make them at the same time', async () => {
    const others = await Promise.all(Array.from({ length: 8 }, () => PersonalData.open(broker, masterKey)));
    const keys = await Promise.all(others.map((each) => each.keyOf('everybody')));
    const data = keys[0]?.encrypt(Buffer.from('agreed'), 'here') ?? new Uint8Array();
    expect(new Set(keys.map(({ id }) => id)).size).toBe(1);
    for (const each of keys) expect(Buffer.from(each.decrypt(data, 'here')).toString()).toBe('agreed');
  });

  test('are those of the other process where it was first after all', async () => {
    const proxy = await startProxy(nats.url);
    const far = await connectBroker({ url: proxy.url, name: 'slow' });
    const slow = await PersonalData.open(far, masterKey);
    proxy.sent();
    proxy.hold('answers');
    const late = slow.keyOf('contested');
    await expect.poll(() => proxy.sent()).toContain('MSG.GET');
    const first = await personalData.keyOf('contested');
    // Only now it hears that there is no key, and makes one.
    proxy.release('answers');
    const sealedThere = (await late).encrypt(Buffer.from('agreed'), 'here');
    expect(Buffer.from(first.decrypt(sealedThere, 'here')).toString()).toBe('agreed');
    await far.close();
    await proxy.close();
  });

  test('stand in the bucket only as the master key wraps them', async () => {
    const { id } = await personalData.keyOf('wrapped');
    const entry = await broker.manager.streams.getMessage(`KV_${PERSONAL_DATA_BUCKET}`, {
      last_by_subj: `$KV.${PERSONAL_DATA_BUCKET}.${id}`,
    });
    const secret = new DataKey('master', masterKey).decrypt(entry?.data ?? new Uint8Array(), id);
    expect(secret).toHaveLength(32);
    expect(Buffer.from(entry?.data ?? []).includes(Buffer.from(secret))).toBe(false);
  });

  test('are not opened by another master key, which is noticed at start', async () => {
    const wrong = PersonalData.open(broker, Buffer.alloc(32, 8));
    await expect(wrong).rejects.toThrow(MasterKeyError);
    await expect(wrong).rejects.toThrow('another master key than the one given');
    await expect(PersonalData.open(broker, Buffer.alloc(31))).rejects.toThrow(RangeError);
  });

  test('that another master key wrapped are an outage to a reader, not a message that can never be read', async () => {
    const bucket = `$KV.${PERSONAL_DATA_BUCKET}`;
    await broker.js.publish(
      `${bucket}.Zm9yZWlnbg.1`,
      new DataKey('m', Buffer.alloc(32, 8)).encrypt(masterKey, 'Zm9yZWlnbg.1'),
    );
    await expect(personalData.find('Zm9yZWlnbg.1')).rejects.toThrow(UnavailableError);
    await expect(personalData.keyOf('foreign')).rejects.toThrow(MasterKeyError);
  });

  test.each([
    { max_age: 3_600_000_000_000 },
    { max_msgs: 1_000 },
    { storage: StorageType.Memory },
    { discard: DiscardPolicy.Old, discard_new_per_subject: false },
    { deny_purge: true },
    { allow_direct: true },
  ] satisfies Partial<StreamConfig>[])(
    'are not kept in a bucket that differs in %o: the start names it',
    async (different) => {
      const stream = `KV_${PERSONAL_DATA_BUCKET}`;
      const { config } = await broker.manager.streams.info(stream);
      await broker.manager.streams.delete(stream);
      onTestFinished(async () => {
        await broker.manager.streams.delete(stream);
      });
      await broker.manager.streams.add({ ...config, ...different });

      const opened = PersonalData.open(broker, masterKey);

      await expect(opened).rejects.toThrow(StreamDriftError);
      for (const name of Object.keys(different)) await expect(opened).rejects.toThrow(`${name} is `);
    },
  );

  test('can not be made where the bucket is full, which is an outage; those that are there are found', async () => {
    const anna = await personalData.keyOf('anna');
    await expect(personalData.requireRoom()).resolves.toBeUndefined();
    const stream = `KV_${PERSONAL_DATA_BUCKET}`;
    const { state } = await broker.manager.streams.info(stream);
    await broker.manager.streams.update(stream, { max_bytes: state.bytes });
    onTestFinished(async () => {
      await broker.manager.streams.update(stream, { max_bytes: -1 });
    });

    await expect(personalData.keyOf('nobody yet')).rejects.toThrow(StreamFullError);
    await expect(personalData.requireRoom()).rejects.toThrow(StreamFullError);
    const other = await PersonalData.open(broker, masterKey);
    expect((await other.keyOf('anna')).id).toBe(anna.id);
  });

  test.each(['', 'anna', 'a..1', 'a.0', 'a.1.2', '*.1', 'a b.1', '=master-key-check'])(
    'have no id like %j',
    async (id) => {
      await expect(personalData.find(id)).rejects.toThrow(PermanentError);
    },
  );

  test('are not found where there never was one', async () => {
    expect(await personalData.find('bm9ib2R5.1')).toBeUndefined();
  });

  test('are destroyed for good: the owner gets another, and what was sealed stays closed', async () => {
    const first = await personalData.keyOf('leaving');
    const bytes = sealed(AccountOpenedSchema, opened, 'account-1', first);
    await personalData.destroy('leaving');
    expect(await personalData.find(first.id)).toBeUndefined();
    const second = await personalData.keyOf('leaving');
    expect([first.id, second.id]).toEqual(['bGVhdmluZw.1', 'bGVhdmluZw.2']);
    expect(await unsealed(AccountOpenedSchema, bytes, 'account-1', first.id, personalData)).toMatchObject({
      ownerName: '',
    });
    expect(() => second.decrypt(fromBinary(AccountOpenedSchema, bytes).sealed, 'account-1')).toThrow(PermanentError);
    // Every generation goes, also those that are gone already.
    await personalData.destroy('leaving');
    expect(await personalData.find(second.id)).toBeUndefined();
    expect((await personalData.keyOf('leaving')).id).toBe('bGVhdmluZw.3');
  });

  test('that were destroyed are forgotten by other processes within a minute', async () => {
    const other = await PersonalData.open(broker, masterKey);
    const { id } = await other.keyOf('forgotten');
    await personalData.destroy('forgotten');
    const now = performance.now();
    const clock = vi.spyOn(performance, 'now');
    try {
      clock.mockReturnValue(now + 61_000);
      await expect.poll(() => other.find(id)).toBeUndefined();
      expect((await other.keyOf('forgotten')).id).not.toBe(id);
    } finally {
      clock.mockRestore();
    }
  });

  test('are asked of the broker once, not for every message', async () => {
    const { id } = await personalData.keyOf('cached');
    const asked: string[] = [];
    const subscription = broker.connection.subscribe('$JS.API.STREAM.MSG.GET.>', {
      callback: (_, message) => {
        asked.push(message.string());
      },
    });
    await personalData.keyOf('cached');
    await personalData.find(id);
    await personalData.find('bm9ib2R5.1');
    const ofNobody = expect.stringContaining('bm9ib2R5.1');
    // For the key, and for the mark of its end.
    await expect.poll(() => asked).toEqual([ofNobody, ofNobody]);
    subscription.unsubscribe();
  });

  test('that were destroyed are forgotten at once by processes that hear of it', async () => {
    const other = await PersonalData.open(broker, masterKey);
    const { id } = await other.keyOf('heard of');
    await personalData.destroy('heard of');
    await expect.poll(() => other.find(id)).toBeUndefined();
    expect((await other.keyOf('heard of')).id).not.toBe(id);
  });

  test('are neither written over nor destroyed by who may only make them', async () => {
    const { id } = await personalData.keyOf('kept');
    const subject = `$KV.${PERSONAL_DATA_BUCKET}.${id}`;
    const rollUp = headers();
    rollUp.set('KV-Operation', 'PURGE');
    rollUp.set('Nats-Rollup', 'sub');
    await expect(broker.js.publish(subject, '', { headers: rollUp })).rejects.toThrow('rollup not permitted');
    await expect(broker.js.publish(subject, 'another key')).rejects.toThrow('maximum messages per subject');
    expect(await (await PersonalData.open(broker, masterKey)).find(id)).toBeInstanceOf(DataKey);
  });

  test('of a bucket that an older program made go on, and those that it destroyed stay destroyed', async () => {
    const nats = await ownNats();
    const broker = await connectBroker({ url: nats.url, name: 'keys' });
    onTestFinished(() => broker.close());
    const bucket = await new Kvm(broker.js).create(PERSONAL_DATA_BUCKET, { history: 1, allow_direct: false });
    const wrapped = (id: string) => new DataKey('master', masterKey).encrypt(Buffer.alloc(32, 3), id);
    await bucket.put('b2xk.1', wrapped('b2xk.1'));
    await bucket.purge('b2xk.1');
    await bucket.put('b2xk.2', wrapped('b2xk.2'));

    const personalData = await PersonalData.open(broker, masterKey);

    expect(await personalData.find('b2xk.1')).toBeUndefined();
    expect((await personalData.keyOf('old')).id).toBe('b2xk.2');
    expect(await personalData.destroy('old')).toEqual({ destroyed: 1, destroyedBefore: 1 });
    expect(await personalData.find('b2xk.2')).toBeUndefined();
    expect((await personalData.keyOf('old')).id).toBe('b2xk.3');
  });

  test('that were destroyed and never made again are not made again under their old id', async () => {
    const { id } = await personalData.keyOf('gone');
    await personalData.destroy('gone');
    await personalData.keyOf('gone');
    expect(await (await PersonalData.open(broker, masterKey)).find(id)).toBeUndefined();
  });
});

test('a broker that is away is an outage, whatever is asked of the keys', async () => {
  const nats = await ownNats();
  const broker = await connectBroker({ url: nats.url, name: 'keys' });
  const personalData = await PersonalData.open(broker, Buffer.alloc(32, 7));
  await nats.kill();
  const started = performance.now();
  await expect(personalData.keyOf('anna')).rejects.toThrow(UnavailableError);
  await expect(personalData.find('YW5uYQ.1')).rejects.toThrow(UnavailableError);
  await expect(personalData.destroy('anna')).rejects.toThrow(UnavailableError);
  expect(performance.now() - started).toBeLessThan(2_000);
  await broker.close();
});
