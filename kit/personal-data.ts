import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import {
  create,
  type DescField,
  type DescMessage,
  getOption,
  type Message,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { DiscardPolicy, JetStreamApiCodes, JetStreamApiError, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { LRUCache } from 'lru-cache';
import { personal as personalOption, sealed as sealedOption } from '#gen/causeway/events/v1/options_pb.js';
import { answered, type Broker } from './broker.ts';
import { decoded } from './decoded.ts';
import { PermanentError, UnavailableError } from './errors.ts';
import { untilAnswered } from './outages.ts';
import {
  ensureStream,
  findStream,
  isStreamFull,
  requireRoom,
  type StreamDeclaration,
  StreamFullError,
} from './streams.ts';

/**
 * Personal data in an immutable log. Every customer has a key of its own; the fields that the contract marks as
 * personal are stored encrypted with it (AES-256-GCM), in the field that the contract marks as sealed. The key is
 * wrapped by a master key and kept in a KV bucket. Who destroys the key has erased the customer from every journal.
 */

const FORMAT = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
/** Keys held in memory, 32 bytes each. */
const CACHED_KEYS = 20_000;
/**
 * How long a process may go on with a key that another one has destroyed where it was not told: a process that never
 * asked again would open the customer's data for as long as it lives.
 */
const KEY_CACHE_MS = 60_000;
/** Where it is told which keys are destroyed, so that every process forgets them at once. */
export const KEYS_DESTROYED_SUBJECT = 'personal-data.destroyed';
/** A key's subject with this token after it: the key is destroyed. Whoever may write it, and delete, can destroy keys. */
const DESTROYED = 'destroyed';
/** The server's error codes (nats-server, errors.json). */
const DELETE_DENIED = 10_057;
const MESSAGE_NOT_FOUND = 10_043;
/** Name of a key: its owner, base64url, and the generation. */
const KEY_ID = /^[A-Za-z0-9_-]+\.[1-9]\d*$/;
/** What the master key wraps to be known again by. No owner's key can have this name. */
export const MASTER_KEY_CHECK = '=master-key-check';

export const PERSONAL_DATA_BUCKET = 'personal-data-keys';
const BUCKET_STREAM = `KV_${PERSONAL_DATA_BUCKET}`;

/**
 * The bucket. With an age limit, or fewer messages than keys, customers would be erased unasked. A key's subject takes one
 * message and no roll-up: who may make keys can neither write over one nor destroy it.
 */
export function customerKeysStream(replicas: number): StreamDeclaration {
  return {
    name: BUCKET_STREAM,
    subjects: [`$KV.${PERSONAL_DATA_BUCKET}.>`],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    max_msgs_per_subject: 1,
    num_replicas: replicas,
    allow_direct: false,
    discard_new_per_subject: true,
    allow_rollup_hdrs: false,
    deny_purge: false,
  };
}

/** A customer's key. Its id is what the header Causeway-Key says. */
export class DataKey {
  readonly id: string;
  /** A key object: given the bytes, each use would make one anew, and take three times as long. */
  readonly #secret: KeyObject;

  constructor(id: string, secret: Buffer) {
    this.id = id;
    this.#secret = createSecretKey(secret);
  }

  /** Encrypts bytes for one place: they open only with the same `place`. */
  encrypt(plain: Uint8Array, place: string): Uint8Array {
    const nonce = freshNonce();
    const cipher = createCipheriv('aes-256-gcm', this.#secret, nonce).setAAD(Buffer.from(place));
    return Buffer.concat([Buffer.of(FORMAT), nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  /** @throws PermanentError for bytes that this key did not seal for this place. */
  decrypt(sealed: Uint8Array, place: string): Uint8Array {
    if (sealed[0] !== FORMAT || sealed.length < 1 + NONCE_BYTES + TAG_BYTES) {
      throw new PermanentError('sealed personal data of an unknown format');
    }
    const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', this.#secret, nonce)
      .setAAD(Buffer.from(place))
      .setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    try {
      const start = decipher.update(sealed.subarray(1 + NONCE_BYTES, sealed.length - TAG_BYTES));
      return Buffer.concat([start, decipher.final()]);
    } catch (cause) {
      throw new PermanentError('sealed personal data that does not open with its key', { cause });
    }
  }

  /** A fingerprint of content that may hold personal data; says nothing once the key is destroyed. 16 bytes. */
  digest(content: Uint8Array): Uint8Array {
    return createHmac('sha256', this.#secret).update(content).digest().subarray(0, 16);
  }
}

let nonces = Buffer.alloc(0);

/** Random bytes are made for many nonces at a time: to ask for 12 costs as much as to ask for thousands. */
function freshNonce(): Uint8Array {
  if (nonces.length < NONCE_BYTES) nonces = randomBytes(NONCE_BYTES * 512);
  const nonce = nonces.subarray(0, NONCE_BYTES);
  nonces = nonces.subarray(NONCE_BYTES);
  return nonce;
}

/**
 * A key in the bucket was wrapped by another master key. Nothing is wrong with what it sealed: until the process is
 * given the right one, it can't open it.
 */
export class MasterKeyError extends UnavailableError {
  override name = 'MasterKeyError';
}

/** What stands under a key's id. Undefined: it was never made, or is marked as destroyed. */
type Entry = { wrapped: Uint8Array; sequence: number } | 'destroyed' | undefined;

function isKey(entry: Entry): entry is Exclude<Entry, 'destroyed' | undefined> {
  return entry !== undefined && entry !== 'destroyed';
}

/** Customers' keys, by owner. */
export class PersonalData {
  readonly #broker: Broker;
  readonly #masterKey: DataKey;
  #isBegun = false;
  readonly #cache = new LRUCache<string, DataKey>({ max: CACHED_KEYS, ttl: KEY_CACHE_MS });
  /** Rises when keys are forgotten: what was asked for before may be one of them. */
  #forgotten = 0;

  private constructor(broker: Broker, masterKey: Buffer) {
    this.#broker = broker;
    this.#masterKey = new DataKey('master', masterKey);
  }

  /**
   * Keys that are not to be had before `begin`: a service that neither seals nor opens anything asks for none.
   * @param masterKey 32 bytes.
   */
  static at(broker: Broker, masterKey: Buffer): PersonalData {
    if (masterKey.length !== KEY_BYTES)
      throw new RangeError(`the master key has ${KEY_BYTES} bytes, not ${masterKey.length}`);
    return new PersonalData(broker, masterKey);
  }

  /** The same, begun. @throws as `begin` does. */
  static async open(broker: Broker, masterKey: Buffer): Promise<PersonalData> {
    const personalData = PersonalData.at(broker, masterKey);
    await personalData.begin();
    return personalData;
  }

  /**
   * Opens the bucket, creating it where it is missing. Reads go to its leader: a key that was just made must not
   * look destroyed.
   * @throws MasterKeyError where the bucket's keys were wrapped by another one; StreamDriftError where it would not
   *   keep them.
   */
  async begin(): Promise<void> {
    const broker = this.#broker;
    await untilAnswered(() => protectFromRollUps(broker));
    await untilAnswered(() => ensureStream(broker.manager, customerKeysStream(broker.replicas)));
    this.#listen();
    await this.#checkMasterKey();
    this.#isBegun = true;
  }

  /**
   * The owner's key; made on first use, and made anew where it was destroyed: what was sealed before stays closed.
   * @throws UnavailableError where the broker does not answer, or has no room for a key; MasterKeyError.
   */
  async keyOf(owner: string): Promise<DataKey> {
    const name = nameOf(owner);
    for (let generation = 1; ; ) {
      const id = `${name}.${generation}`;
      const cached = this.#cache.get(id);
      if (cached !== undefined) return cached;
      const epoch = this.#forgotten;
      const entry = await this.#unlessMarked(id);
      if (isKey(entry)) return this.#remember(id, this.#unwrap(id, entry.wrapped), epoch);
      const made = entry === 'destroyed' ? entry : await this.#make(id);
      if (made instanceof Buffer) return this.#remember(id, made, epoch);
      // Where another process was first, its key is the one that is found in the next turn.
      if (made !== 'destroyed') continue;
      const destroyed = new Set((await this.keysOf(owner)).destroyed);
      do generation++;
      while (destroyed.has(`${name}.${generation}`));
    }
  }

  /**
   * The key of this id, at once where it is in memory; undefined once it was destroyed.
   * @throws PermanentError for what is no key's id; UnavailableError; MasterKeyError.
   */
  find(id: string): DataKey | Promise<DataKey | undefined> {
    return this.#cache.get(id) ?? this.#fetch(id);
  }

  async #fetch(id: string): Promise<DataKey | undefined> {
    if (!KEY_ID.test(id)) throw new PermanentError(`${JSON.stringify(id)} is not the id of a key`);
    const epoch = this.#forgotten;
    const entry = await this.#unlessMarked(id);
    return isKey(entry) ? this.#remember(id, this.#unwrap(id, entry.wrapped), epoch) : undefined;
  }

  /** Ids of the keys that the owner has, and had. None of either: nothing was ever stored of the owner. */
  async keysOf(owner: string): Promise<{ live: string[]; destroyed: string[] }> {
    const name = nameOf(owner);
    const { state } = await answered(this.#broker, () =>
      this.#broker.manager.streams.info(BUCKET_STREAM, { subjects_filter: subjectFor(`${name}.>`) }),
    );
    const subjects = new Set(Object.keys(state.subjects ?? {}));
    const keys = { live: [] as string[], destroyed: [] as string[] };
    for (let generation = 1; ; generation++) {
      const id = `${name}.${generation}`;
      const isStored = subjects.has(subjectFor(id));
      if (!isStored && !subjects.has(markOf(id))) return keys;
      keys[isStored && isKey(await this.#entry(id)) ? 'live' : 'destroyed'].push(id);
    }
  }

  /**
   * Destroys every key of the owner: what they sealed can never be opened again, here or in any copy of the log.
   * Another process that has a key in memory is told to forget it, and does so within a minute if it does not hear.
   * Returns how many keys there were.
   */
  async destroy(owner: string): Promise<{ destroyed: number; destroyedBefore: number }> {
    const { live, destroyed } = await this.keysOf(owner);
    await this.destroyKeys(live);
    return { destroyed: live.length, destroyedBefore: destroyed.length };
  }

  /** Destroys these keys. May be done again. @throws PermanentError for what is no key's id; UnavailableError. */
  async destroyKeys(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      if (!KEY_ID.test(id)) throw new PermanentError(`${JSON.stringify(id)} is not the id of a key`);
      // First, and for ever: it tells a key that was destroyed from one that was never made.
      await this.#mark(id);
      const entry = await this.#entry(id);
      if (isKey(entry)) await this.#remove(id, entry.sequence);
      this.#forget([id]);
    }
    if (ids.length > 0) this.#broker.connection.publish(KEYS_DESTROYED_SUBJECT, JSON.stringify(ids));
  }

  /** Whether keys can be made. @throws StreamFullError; UnavailableError where the broker does not answer. */
  async requireRoom(): Promise<void> {
    if (this.#isBegun) await requireRoom(this.#broker, BUCKET_STREAM);
  }

  /** What is missed while the connection is away is made up for by forgetting all. */
  #listen(): void {
    this.#broker.connection.subscribe(KEYS_DESTROYED_SUBJECT, {
      callback: (error, message) => {
        if (error === null || error === undefined) this.#forget(idsIn(message.data));
      },
    });
    this.#broker.onReconnect(() => this.#forget([...this.#cache.keys()]));
  }

  #forget(ids: readonly string[]): void {
    this.#forgotten++;
    for (const id of ids) this.#cache.delete(id);
  }

  async #entry(id: string): Promise<Entry> {
    const message = await this.#last(subjectFor(id));
    if (message === null) return undefined;
    // As keys were destroyed before there were marks.
    return message.data.length === 0 ? 'destroyed' : { wrapped: message.data, sequence: message.seq };
  }

  /** The same, where its end is not marked: who made it may have slept through the end of the one before. */
  async #unlessMarked(id: string): Promise<Entry> {
    const [entry, isMarked] = await Promise.all([this.#entry(id), this.#isMarked(id)]);
    return isMarked ? 'destroyed' : entry;
  }

  async #isMarked(id: string): Promise<boolean> {
    return (await this.#last(markOf(id))) !== null;
  }

  #last(subject: string) {
    return answered(this.#broker, () =>
      this.#broker.manager.streams.getMessage(BUCKET_STREAM, { last_by_subj: subject }),
    );
  }

  /**
   * Makes a key, unless there is or was one of this id. That a subject takes one message is not enough: on several nodes
   * the broker takes two that come at once, and only an expected sequence keeps the second out.
   */
  async #make(id: string): Promise<Buffer | 'taken' | 'destroyed'> {
    const secret = randomBytes(KEY_BYTES);
    const wrapped = this.#masterKey.encrypt(secret, id);
    try {
      await answered(this.#broker, () =>
        this.#broker.js.publish(subjectFor(id), wrapped, { expect: { lastSubjectSequence: 0 } }),
      );
    } catch (error) {
      if (isTaken(error)) return 'taken';
      // The server says the same of a subject that has its message.
      if (!isStreamFull(error)) throw error;
      if ((await this.#last(subjectFor(id))) !== null) return 'taken';
      throw new StreamFullError(`stream ${BUCKET_STREAM} is full`, { cause: error });
    }
    return (await this.#isMarked(id)) ? 'destroyed' : secret;
  }

  async #mark(id: string): Promise<void> {
    try {
      await answered(this.#broker, () => this.#broker.js.publish(markOf(id), new Date().toISOString()));
    } catch (error) {
      if (!isStreamFull(error) || !(await this.#isMarked(id))) throw error;
    }
  }

  /** Writes over the key on the broker's disk, which a purge does not. */
  async #remove(id: string, sequence: number): Promise<void> {
    const { streams } = this.#broker.manager;
    try {
      await answered(this.#broker, () => streams.deleteMessage(BUCKET_STREAM, sequence, true));
    } catch (error) {
      const code = error instanceof JetStreamApiError ? error.code : 0;
      if (code === MESSAGE_NOT_FOUND) return;
      // A bucket that was made by an older program: what is denied once, is denied for ever.
      if (code !== DELETE_DENIED) throw error;
      await answered(this.#broker, () => streams.purge(BUCKET_STREAM, { filter: subjectFor(id) }));
    }
  }

  async #checkMasterKey(): Promise<void> {
    const entry = await this.#entry(MASTER_KEY_CHECK);
    if (isKey(entry)) {
      this.#unwrap(MASTER_KEY_CHECK, entry.wrapped);
      return;
    }
    // Another process may have been first, with another master key.
    if (!((await this.#make(MASTER_KEY_CHECK)) instanceof Buffer)) await this.#checkMasterKey();
  }

  #unwrap(id: string, wrapped: Uint8Array): Buffer {
    try {
      return Buffer.from(this.#masterKey.decrypt(wrapped, id));
    } catch (cause) {
      throw new MasterKeyError(`key ${id} was wrapped by another master key than the one given`, { cause });
    }
  }

  #remember(id: string, secret: Buffer, epoch: number): DataKey {
    const key = new DataKey(id, secret);
    if (epoch === this.#forgotten) this.#cache.set(id, key);
    return key;
  }
}

/** A bucket of an older program let keys be destroyed by whoever may make them. */
async function protectFromRollUps({ manager }: Broker): Promise<void> {
  const found = await findStream(manager, BUCKET_STREAM);
  if (found?.config.allow_rollup_hdrs !== true) return;
  await manager.streams.update(BUCKET_STREAM, { allow_rollup_hdrs: false, discard_new_per_subject: true });
}

function subjectFor(id: string): string {
  return `$KV.${PERSONAL_DATA_BUCKET}.${id}`;
}

function markOf(id: string): string {
  return `${subjectFor(id)}.${DESTROYED}`;
}

/** Anybody may send anything to a subject. */
function idsIn(data: Uint8Array): string[] {
  try {
    const ids = JSON.parse(Buffer.from(data).toString());
    return Array.isArray(ids) ? ids.map(String) : [];
  } catch {
    return [];
  }
}

function nameOf(owner: string): string {
  if (owner === '') throw new RangeError('personal data belongs to somebody, and no owner was named');
  return Buffer.from(owner, 'utf8').toString('base64url');
}

function isTaken(error: unknown): boolean {
  return (
    error instanceof JetStreamApiError &&
    (error.code === JetStreamApiCodes.StreamWrongLastSequence ||
      error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown)
  );
}

type Fields = { personal: DescField[]; sealed: DescField | undefined };

const fieldsByType = new WeakMap<DescMessage, Fields>();

function isMarked(field: DescField): boolean {
  return getOption(field, personalOption);
}

/**
 * The personal fields of a message type and the one that holds them sealed.
 * @throws Error for a contract that can't be kept: no sealed field, or personal fields deeper down or in a oneof.
 */
export function personalFieldsOf(type: DescMessage): Fields {
  const known = fieldsByType.get(type);
  if (known !== undefined) return known;
  const personal = type.fields.filter(isMarked);
  const choice = personal.find((field) => field.oneof !== undefined);
  if (choice !== undefined) {
    throw new Error(`${type.typeName}.${choice.name} is personal and part of a oneof, where it can't be sealed`);
  }
  const sealed = type.fields.find((field) => getOption(field, sealedOption));
  if (personal.length > 0 && sealed === undefined) {
    throw new Error(`${type.typeName} has personal fields, but none to seal them in`);
  }
  for (const field of type.fields) {
    if (!isMarked(field) && field.message !== undefined && holdsPersonalData(field.message, new Set())) {
      throw new Error(`${type.typeName}.${field.name} has personal data inside; mark the whole field as personal`);
    }
  }
  const fields = { personal, sealed };
  fieldsByType.set(type, fields);
  return fields;
}

function holdsPersonalData(type: DescMessage, seen: Set<DescMessage>): boolean {
  if (seen.has(type)) return false;
  seen.add(type);
  return type.fields.some(
    (field) => isMarked(field) || (field.message !== undefined && holdsPersonalData(field.message, seen)),
  );
}

/** Whether the contract marks any field of this type as personal. */
export function hasPersonalData(type: DescMessage): boolean {
  return personalFieldsOf(type).personal.length > 0;
}

type Slots = Record<string, unknown>;

/** The message with its personal fields empty, as it is read once its key is destroyed. */
export function withoutPersonalData<Desc extends DescMessage>(
  type: Desc,
  message: MessageShape<Desc>,
): MessageShape<Desc> {
  const blank = create(type) as unknown as Slots;
  const { personal } = personalFieldsOf(type);
  return { ...message, ...Object.fromEntries(personal.map(({ localName }) => [localName, blank[localName]])) };
}

/**
 * Encodes a message with its personal fields sealed.
 * @param place what the message is about (the aggregate's key): sealed fields can't be moved to another place.
 */
export function sealed<Desc extends DescMessage>(
  type: Desc,
  message: MessageShape<Desc>,
  place: string,
  key: DataKey | undefined,
): Uint8Array {
  const { personal, sealed: seal } = personalFieldsOf(type);
  if (personal.length === 0 || seal === undefined) return toBinary(type, message);
  if (key === undefined) throw new Error(`${type.typeName} has personal data, and no key was given to seal it with`);
  const open = { ...(message as Slots) };
  const secret: Slots = create(type) as unknown as Slots;
  const blank = create(type) as unknown as Slots;
  for (const field of personal) {
    secret[field.localName] = open[field.localName];
    open[field.localName] = blank[field.localName];
  }
  open[seal.localName] = key.encrypt(toBinary(type, secret as MessageShape<Desc>), `${type.typeName}|${place}`);
  return toBinary(type, open as MessageShape<Desc>);
}

/** Where keys are found by their ids: at once, or after a while. */
export type Keys = { find(id: string): DataKey | undefined | Promise<DataKey | undefined> };

/** For who has no business with personal data: to such a reader, every key is destroyed. */
export const noKeys: Keys = { find: () => undefined };

/**
 * Decodes a message and opens what is sealed in it. After its key was destroyed, the personal fields are empty.
 * @throws PermanentError for bytes that are no such message, or were sealed with another key or for another place.
 */
export async function unsealed(
  type: DescMessage,
  bytes: Uint8Array,
  place: string,
  keyId: string,
  keys: Keys,
): Promise<Message> {
  return unsealedAtBest(type, bytes, place, keyId, keys);
}

/** The same, at once where the key is: a promise for each of thousands of messages costs as much as to open them. */
export function unsealedAtBest(
  type: DescMessage,
  bytes: Uint8Array,
  place: string,
  keyId: string,
  keys: Keys,
): Message | Promise<Message> {
  const message = decoded(type, bytes);
  const { sealed: seal } = personalFieldsOf(type);
  if (seal === undefined) return message;
  const secret = (message as unknown as Slots)[seal.localName] as Uint8Array;
  (message as unknown as Slots)[seal.localName] = new Uint8Array();
  if (secret.length === 0) return message;
  const open = (key: DataKey | undefined) =>
    key === undefined ? message : decoded(type, key.decrypt(secret, `${type.typeName}|${place}`), message);
  const key = keys.find(keyId);
  return key instanceof Promise ? key.then(open) : open(key);
}
