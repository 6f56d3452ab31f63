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
import { type KV, type KvEntry, Kvm } from '@nats-io/kv';
import { LRUCache } from 'lru-cache';
import { personal as personalOption, sealed as sealedOption } from '#gen/causeway/events/v1/options_pb.js';
import { answered, type Broker } from './broker.ts';
import { decoded } from './decoded.ts';
import { PermanentError, UnavailableError } from './errors.ts';
import { untilAnswered } from './outages.ts';
import { ensureStream, isStreamFull, requireRoom, type StreamDeclaration, StreamFullError } from './streams.ts';

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
 * How long a process may go on with a key that another one has destroyed. Nobody tells it, so it has to ask again: a
 * process that never did would open the customer's data for as long as it lives.
 */
const KEY_CACHE_MS = 60_000;
/** Name of a key: its owner, base64url, and the generation. */
const KEY_ID = /^[A-Za-z0-9_-]+\.[1-9]\d*$/;
/** What the master key wraps to be known again by. No owner's key can have this name. */
const MASTER_KEY_CHECK = '=master-key-check';

export const PERSONAL_DATA_BUCKET = 'personal-data-keys';
const BUCKET_STREAM = `KV_${PERSONAL_DATA_BUCKET}`;

/** The bucket as it is made below. With an age limit, or fewer messages than keys, customers would be erased unasked. */
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
    // A key is destroyed with a roll-up of its subject.
    deny_purge: false,
    allow_rollup_hdrs: true,
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

/** Customers' keys, by owner. */
export class PersonalData {
  readonly #broker: Broker;
  readonly #bucket: KV;
  readonly #masterKey: DataKey;
  readonly #cache = new LRUCache<string, DataKey>({ max: CACHED_KEYS, ttl: KEY_CACHE_MS });

  private constructor(broker: Broker, bucket: KV, masterKey: Buffer) {
    this.#broker = broker;
    this.#bucket = bucket;
    this.#masterKey = new DataKey('master', masterKey);
  }

  /**
   * Opens the bucket, creating it where it is missing. Reads go to its leader: a key that was just made must not
   * look destroyed.
   * @param masterKey 32 bytes.
   * @throws MasterKeyError where the bucket's keys were wrapped by another one; StreamDriftError where it would not
   *   keep them.
   */
  static async open(broker: Broker, masterKey: Buffer): Promise<PersonalData> {
    if (masterKey.length !== KEY_BYTES)
      throw new RangeError(`the master key has ${KEY_BYTES} bytes, not ${masterKey.length}`);
    const bucket = await untilAnswered(() =>
      new Kvm(broker.js).create(PERSONAL_DATA_BUCKET, { history: 1, replicas: broker.replicas, allow_direct: false }),
    );
    await untilAnswered(() => ensureStream(broker.manager, customerKeysStream(broker.replicas)));
    const personalData = new PersonalData(broker, bucket, masterKey);
    await personalData.#checkMasterKey();
    return personalData;
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
      const entry = await this.#entry(id);
      if (entry?.operation === 'PUT') return this.#remember(id, this.#unwrap(id, entry.value));
      // Where another process was first, its key is the one that is found in the next turn.
      if (entry === null) await this.#make(id);
      else generation++;
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
    const entry = await this.#entry(id);
    if (entry?.operation !== 'PUT') return undefined;
    return this.#remember(id, this.#unwrap(id, entry.value));
  }

  /**
   * Destroys every key of the owner: what they sealed can never be opened again, here or in any copy of the log.
   * Another process that has the key in memory forgets it within a minute. Returns how many keys there were.
   */
  async destroy(owner: string): Promise<{ destroyed: number; destroyedBefore: number }> {
    const name = nameOf(owner);
    let destroyed = 0;
    for (let generation = 1; ; generation++) {
      const id = `${name}.${generation}`;
      const entry = await this.#entry(id);
      if (entry === null) return { destroyed, destroyedBefore: generation - 1 - destroyed };
      // The mark stays for ever: it tells a key that was destroyed from one that was never made.
      if (entry.operation === 'PUT') {
        await answered(this.#broker, () => this.#bucket.purge(id));
        destroyed++;
      }
      this.#cache.delete(id);
    }
  }

  /** Whether keys can be made. @throws StreamFullError; UnavailableError where the broker does not answer. */
  requireRoom(): Promise<void> {
    return requireRoom(this.#broker, BUCKET_STREAM);
  }

  #entry(id: string): Promise<KvEntry | null> {
    return answered(this.#broker, () => this.#bucket.get(id));
  }

  /** Makes a key, unless there is or was one of this id. */
  async #make(id: string): Promise<void> {
    const wrapped = this.#masterKey.encrypt(randomBytes(KEY_BYTES), id);
    try {
      // Not create(), which would also put a new key where one was destroyed.
      await answered(this.#broker, () => this.#bucket.put(id, wrapped, { previousSeq: 0 }));
    } catch (error) {
      if (isStreamFull(error)) throw new StreamFullError(`stream ${BUCKET_STREAM} is full`, { cause: error });
      if (!isTaken(error)) throw error;
    }
  }

  async #checkMasterKey(): Promise<void> {
    const entry = await this.#entry(MASTER_KEY_CHECK);
    if (entry !== null) {
      this.#unwrap(MASTER_KEY_CHECK, entry.value);
      return;
    }
    await this.#make(MASTER_KEY_CHECK);
    // Another process may have been first, with another master key.
    await this.#checkMasterKey();
  }

  #unwrap(id: string, wrapped: Uint8Array): Buffer {
    try {
      return Buffer.from(this.#masterKey.decrypt(wrapped, id));
    } catch (cause) {
      throw new MasterKeyError(`key ${id} was wrapped by another master key than the one given`, { cause });
    }
  }

  #remember(id: string, secret: Buffer): DataKey {
    const key = new DataKey(id, secret);
    this.#cache.set(id, key);
    return key;
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
