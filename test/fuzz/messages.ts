import { create, type DescField, type DescMessage, type Message, ScalarType } from '@bufbuild/protobuf';
import { oneOf, type Random } from '../chaos/random.ts';

/** The order that there is while doors are fuzzed, and whose it is. */
export const KNOWN_ORDER = '00000000-0000-4000-8000-00000000f022';
export const CUSTOMER = 'fuzz';

/** What is valid in a field of this name. */
const valid: Record<string, string> = {
  order_id: KNOWN_ORDER,
  endpoint_id: KNOWN_ORDER,
  customer_id: CUSTOMER,
  sku: 'coffee-beans',
  email: 'fuzz@example.org',
  payment_method: 'pm_ok',
  country_code: 'NL',
  currency_code: 'EUR',
  url: 'http://127.0.0.1:9/hook',
  types: 'causeway.public.v1.OrderCompleted',
  stream: 'ORDERS',
  consumer: 'orders-history_v1',
  name: 'orders',
  service: 'orders',
  key: KNOWN_ORDER,
  page_token: '',
  request_id: '',
  correlation_id: '',
};

type Values = Record<string, unknown>;

/** A request that means something: each field that has to be there is, others are by chance. */
export function validMessage(type: DescMessage, random: Random, depth = 0): Message {
  const message = create(type) as Message & Values;
  for (const field of type.fields) {
    if (random() < 0.3 && !isNeeded(field)) continue;
    const value = validValue(field, random, depth);
    if (value === undefined) continue;
    if (field.oneof === undefined) message[field.localName] = value;
    else message[field.oneof.localName] = { case: field.localName, value };
  }
  return message;
}

function isNeeded({ name }: DescField): boolean {
  return !['page_token', 'at_least', 'status', 'page_size', 'filter'].includes(name);
}

function validValue(field: DescField, random: Random, depth: number): unknown {
  switch (field.fieldKind) {
    case 'scalar':
      return scalar(field.scalar, field.name);
    case 'enum':
      return oneOf(random, field.enum.values).number;
    case 'message':
      return depth > 3 || field.message.typeName.startsWith('google.protobuf.')
        ? undefined
        : validMessage(field.message, random, depth + 1);
    case 'list': {
      const length = field.name === 'at_least' ? 0 : 1;
      const item = () => {
        if (field.listKind === 'scalar') return scalar(field.scalar, field.name);
        return field.listKind === 'enum' ? 1 : validMessage(field.message, random, depth + 1);
      };
      return Array.from({ length }, item);
    }
    case 'map':
      return undefined;
  }
}

function scalar(type: ScalarType, name: string): unknown {
  switch (type) {
    case ScalarType.STRING:
      return valid[name] ?? 'x';
    case ScalarType.BYTES:
      return new Uint8Array();
    case ScalarType.BOOL:
      return false;
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
    case ScalarType.SINT64:
      return 1n;
    default:
      return 1;
  }
}

const TOKENS = [
  'NaN',
  '1e999 x',
  `8640000000000001 ${KNOWN_ORDER}`,
  `-1 ${KNOWN_ORDER}`,
  'orders 3',
  'orders-history_v1 99 *',
  'ORDERS 18446744073709551616 INVENTORY -1',
  'ORDERS x',
  'NOWHERE 1 1',
  '{"$gt":""}',
  '\u0000 \u0000 \u0000',
  ' '.repeat(120),
];

const STRINGS = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\n\r\n',
  '\u202eevil',
  '\ufeff',
  '\ud83d\ude00'.repeat(64),
  'a'.repeat(64),
  'a'.repeat(65),
  'a'.repeat(129),
  'a'.repeat(501),
  'a'.repeat(70_000),
  '\u0301'.repeat(300),
  '__proto__',
  'constructor',
  'toString',
  '$where',
  '{"$gt":""}',
  '../../etc/passwd',
  'file:///etc/passwd',
  '*',
  '>',
  '$JS.API.>',
  'orders.event.0.order.x',
  "' OR '1'='1",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: what others take for a template.
  '${7*7}{{7*7}}',
  '<script>alert(1)</script>',
  '%00%2e%2e',
  '00000000-0000-0000-0000-000000000000',
  '00000000-0000-4000-8000-00000000F022',
  'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
  'ORDER_STATUS_PLACED',
  'causeway.orders.v1.OrderPlaced',
  'http://127.0.0.1:0/',
  'http://127.0.0.1:99999/',
  'http://[::1',
  'javascript:alert(1)',
  '2020-13-45T99:99:99Z',
  '-0',
  '1e309',
  '18446744073709551616',
  ...TOKENS.map((token) => Buffer.from(token).toString('base64url')),
];

const SMALL = [0, 1, -1, 7, 8, 99, 100, 101, 127, 128, 10_000, 10_001, 2 ** 31 - 1, -(2 ** 31)];
const LARGE = [0n, 1n, -1n, 2n ** 31n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n];
const ANY_TYPES = [
  '',
  '/',
  'type.googleapis.com/',
  'type.googleapis.com/no.such.Type',
  'type.googleapis.com/causeway.orders.v1.OrderPlaced',
  'type.googleapis.com/google.protobuf.Any',
  '__proto__',
];

/** Changes some of a message's fields, at any depth, to what the contract's types allow and nobody means. */
export function makeHostile(message: Message, type: DescMessage, random: Random): void {
  const places = placesIn(message as Message & Values, type);
  for (let changes = 1 + Math.floor(random() * 3); changes > 0 && places.length > 0; changes--) {
    const { holder, field } = oneOf(random, places);
    set(holder, field, hostileValue(field, random));
  }
}

type Place = { holder: Message & Values; field: DescField };

function placesIn(message: Message & Values, type: DescMessage): Place[] {
  return type.fields.flatMap((field) => {
    const inside = inner(message, field).flatMap((each) =>
      field.message === undefined ? [] : placesIn(each as Message & Values, field.message),
    );
    return [{ holder: message, field }, ...inside];
  });
}

function inner(message: Values, field: DescField): unknown[] {
  if (field.message === undefined || field.fieldKind === 'map') return [];
  const held = field.oneof === undefined ? message[field.localName] : undefined;
  if (held === undefined) return [];
  return Array.isArray(held) ? held : [held];
}

function set(holder: Values, field: DescField, value: unknown): void {
  if (field.oneof === undefined) holder[field.localName] = value;
  else holder[field.oneof.localName] = value === undefined ? { case: undefined } : { case: field.localName, value };
}

function hostileValue(field: DescField, random: Random): unknown {
  switch (field.fieldKind) {
    case 'scalar':
      return hostileScalar(field.scalar, random);
    case 'enum':
      return oneOf(random, [0, 1, 2, 99, -1, 2 ** 31 - 1, -(2 ** 31)]);
    case 'message':
      return random() < 0.2 ? undefined : hostileMessage(field.message, random);
    case 'list': {
      const length = oneOf(random, [0, 1, 2, 16, 17, 100, 101, 3_000]);
      const item = () => {
        if (field.listKind === 'scalar') return hostileScalar(field.scalar, random, length < 20);
        return field.listKind === 'enum' ? 99 : hostileMessage(field.message, random, length < 20);
      };
      return Array.from({ length }, item);
    }
    case 'map':
      return undefined;
  }
}

function hostileScalar(type: ScalarType, random: Random, isLong = true): unknown {
  switch (type) {
    case ScalarType.STRING: {
      const text = oneOf(random, STRINGS);
      return isLong ? text : text.slice(0, 200);
    }
    case ScalarType.BYTES:
      return Buffer.alloc(oneOf(random, [0, 1, 1_000, 60_000]), 0xff);
    case ScalarType.BOOL:
      return random() < 0.5;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return oneOf(random, [0, -0, 1e30, Number.NaN, Number.POSITIVE_INFINITY]);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return oneOf(random, [...SMALL, 2 ** 32 - 1]) >>> 0;
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return BigInt.asIntN(64, oneOf(random, LARGE));
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return BigInt.asUintN(64, oneOf(random, LARGE));
    default:
      return oneOf(random, SMALL);
  }
}

function hostileMessage(type: DescMessage, random: Random, isLong = true): Message {
  if (type.typeName === 'google.protobuf.Any') {
    const value = Buffer.from(Array.from({ length: Math.floor(random() * 40) }, () => Math.floor(random() * 256)));
    return create(type, { typeUrl: oneOf(random, ANY_TYPES), value } as Record<string, unknown>);
  }
  const message = create(type) as Message & Values;
  for (const field of type.fields) {
    if (field.fieldKind === 'scalar' && random() < 0.7)
      set(message, field, hostileScalar(field.scalar, random, isLong));
  }
  return message;
}
