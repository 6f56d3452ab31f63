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
  fromBinary,
  getOption,
  type Message,
  type MessageShape,
  mergeFromBinary,
  toBinary,
} from '@bufbuild/protobuf';
import { type KV, Kvm } from '@nats-io/kv';
import { LRUCache } from 'lru-cache';
import { personal as personalOption, sealed as sealedOption } from '#gen/causeway/events/v1/options_pb.js';
import type { Broker } from './broker.ts';
import { PermanentError } from './errors.ts';

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

export const PERSONAL_DATA_BUCKET = 'personal-data-keys';

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
    const nonce = randomBytes(NONCE_BYTES);
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

/** Customers' keys, by owner. */
export class PersonalData {
  readonly #bucket: KV;
  readonly #masterKey: Buffer;
  readonly #cache = new LRUCache<string, DataKey>({ max: CACHED_KEYS });

  private constructor(bucket: KV, masterKey: Buffer) {
    this.#bucket = bucket;
    this.#masterKey = masterKey;
  }

  /**
   * Opens the bucket, creating it where it is missing. Reads go to its leader: a key that was just made must not
   * look destroyed.
   * @param masterKey 32 bytes.
   */
  static async open(broker: Broker, masterKey: Buffer): Promise<PersonalData> {
    if (masterKey.length !== KEY_BYTES)
      throw new RangeError(`the master key has ${KEY_BYTES} bytes, not ${masterKey.length}`);
    const bucket = await new Kvm(broker.js).create(PERSONAL_DATA_BUCKET, {
      history: 1,
      replicas: broker.replicas,
      allow_direct: false,
    });
    return new PersonalData(bucket, masterKey);
  }

  /** The owner's key; made on first use, and made anew where it was destroyed: what was sealed before stays closed. */
  async keyOf(owner: string): Promise<DataKey> {
    const name = Buffer.from(owner, 'utf8').toString('base64url');
    for (let generation = 1; ; generation++) {
      const id = `${name}.${generation}`;
      const cached = this.#cache.get(id);
      if (cached !== undefined) return cached;
      const entry = await this.#bucket.get(id);
      if (entry === null) return this.#make(id);
      if (entry.operation === 'PUT') return this.#remember(id, this.#unwrap(id, entry.value));
    }
  }

  /** The key of this id; undefined once it was destroyed. */
  async find(id: string): Promise<DataKey | undefined> {
    const cached = this.#cache.get(id);
    if (cached !== undefined) return cached;
    const entry = await this.#bucket.get(id);
    if (entry === null || entry.operation !== 'PUT') return undefined;
    return this.#remember(id, this.#unwrap(id, entry.value));
  }

  /** Destroys every key of the owner: what they sealed can never be opened again, here or in any copy of the log. */
  async destroy(owner: string): Promise<void> {
    const name = Buffer.from(owner, 'utf8').toString('base64url');
    for (let generation = 1; (await this.#bucket.get(`${name}.${generation}`)) !== null; generation++) {
      await this.#bucket.purge(`${name}.${generation}`);
      this.#cache.delete(`${name}.${generation}`);
    }
  }

  async #make(id: string): Promise<DataKey> {
    const secret = randomBytes(KEY_BYTES);
    try {
      await this.#bucket.create(id, new DataKey('master', this.#masterKey).encrypt(secret, id));
    } catch (error) {
      // Another process may have made it first; theirs counts.
      const theirs = await this.find(id);
      if (theirs === undefined) throw error;
      return theirs;
    }
    return this.#remember(id, secret);
  }

  #unwrap(id: string, wrapped: Uint8Array): Buffer {
    return Buffer.from(new DataKey('master', this.#masterKey).decrypt(wrapped, id));
  }

  #remember(id: string, secret: Buffer): DataKey {
    const key = new DataKey(id, secret);
    this.#cache.set(id, key);
    return key;
  }
}

type Fields = { personal: DescField[]; sealed: DescField | undefined };

const fieldsByType = new WeakMap<DescMessage, Fields>();

function isMarked(field: DescField): boolean {
  return getOption(field, personalOption);
}

/**
 * The personal fields of a message type and the one that holds them sealed.
 * @throws Error for a contract that can't be kept: no sealed field, or personal fields deeper down.
 */
function fieldsOf(type: DescMessage): Fields {
  const known = fieldsByType.get(type);
  if (known !== undefined) return known;
  const personal = type.fields.filter(isMarked);
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
  return fieldsOf(type).personal.length > 0;
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
  const { personal, sealed: seal } = fieldsOf(type);
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

/** Decodes a message and opens what is sealed in it. After its key was destroyed, the personal fields are empty. */
export async function unsealed(
  type: DescMessage,
  bytes: Uint8Array,
  place: string,
  keyId: string,
  personalData: Pick<PersonalData, 'find'>,
): Promise<Message> {
  const message = fromBinary(type, bytes);
  const { sealed: seal } = fieldsOf(type);
  if (seal === undefined) return message;
  const secret = (message as unknown as Slots)[seal.localName] as Uint8Array;
  (message as unknown as Slots)[seal.localName] = new Uint8Array();
  if (secret.length === 0) return message;
  const key = await personalData.find(keyId);
  if (key === undefined) return message;
  mergeFromBinary(type, message, key.decrypt(secret, `${type.typeName}|${place}`));
  return message;
}
