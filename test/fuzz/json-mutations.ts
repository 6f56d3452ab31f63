import { oneOf, type Random } from '../chaos/random.ts';

/** Instead of a value, as it stands in the text: what JSON has, what only some take for JSON, and what nobody does. */
const VALUES = [
  'null',
  'true',
  '0',
  '-0',
  '-1',
  '1.5',
  '1e2',
  '1e999',
  '-1e999',
  '9007199254740993',
  '18446744073709551616',
  `1${'0'.repeat(5_000)}`,
  '0.1e-400',
  '"1"',
  '" 1"',
  '"0x10"',
  '"NaN"',
  '"Infinity"',
  'NaN',
  'Infinity',
  '+1',
  '01',
  '.5',
  '0x10',
  '""',
  '"\\ud800"',
  '"\\udfff\\ud800"',
  '"\\u0000"',
  '"\\x"',
  '"\t"',
  '"!!not base64!!"',
  '"AA=A"',
  '"ORDER_STATUS_NO_SUCH"',
  '"2020-13-45T00:00:00Z"',
  '"9999999999s"',
  '[]',
  '{}',
  '[[[[]]]]',
  '[null]',
  '{"a":1}',
  '{"__proto__":{"a":1}}',
  '{"@type":"type.googleapis.com/no.such.Type"}',
  '{"@type":"type.googleapis.com/causeway.orders.v1.OrderPlaced","orderId":7}',
  '{"@type":"type.googleapis.com/google.protobuf.Any","value":{"@type":""}}',
  `"${'a'.repeat(100_000)}"`,
  `${'['.repeat(2_000)}${']'.repeat(2_000)}`,
  `${'['.repeat(100_000)}`,
  `${'{"a":'.repeat(2_000)}1${'}'.repeat(2_000)}`,
  "'single'",
  'undefined',
  '/* */ 1',
];

const MEMBERS = [
  '"no_such_field":1',
  '"__proto__":{"isAdmin":true}',
  '"constructor":{"prototype":{}}',
  '"toString":1',
  '"$typeName":"x"',
  '"$unknown":[]',
  '"":1',
  '"order_id":"x","orderId":"y"',
  '"at_least":[{"stream":"ORDERS","partition":-1,"sequence":"-1"}]',
  '"atLeast":[{"stream":"ORDERS","partition":0,"sequence":1e3}]',
  '"page_size":"20"',
  '"pageSize":4294967296',
  '"status":"ORDER_STATUS_PLACED","status":2',
];

type Mutation = (json: string, random: Random) => string;

/** Where values begin: behind a colon. */
const valueChanged: Mutation = (json, random) => {
  const places = [...json.matchAll(/:("(?:[^"\\]|\\.)*"|[\d.-]+|true|false|null)/g)];
  if (places.length === 0) return oneOf(random, VALUES);
  const { index, 0: whole } = oneOf(random, places);
  return `${json.slice(0, index)}:${oneOf(random, VALUES)}${json.slice(index + whole.length)}`;
};

const memberAdded: Mutation = (json, random) => {
  const places = [...json.matchAll(/\{/g)].map(({ index }) => index + 1);
  if (places.length === 0) return json;
  const at = oneOf(random, places);
  const rest = json.slice(at);
  return `${json.slice(0, at)}${oneOf(random, MEMBERS)}${rest.startsWith('}') ? '' : ','}${rest}`;
};

const memberTwice: Mutation = (json, random) => {
  const members = [...json.matchAll(/"\w+":("(?:[^"\\]|\\.)*"|[\d.-]+)/g)];
  if (members.length === 0) return json;
  const { index, 0: whole } = oneOf(random, members);
  return `${json.slice(0, index)}${whole},${json.slice(index)}`;
};

const keyChanged: Mutation = (json, random) => {
  const keys = [...json.matchAll(/"(\w+)":/g)];
  if (keys.length === 0) return json;
  const { index, 0: whole } = oneOf(random, keys);
  const name = oneOf(random, ['__proto__', 'ORDERID', 'hasOwnProperty', '', '\\ud800', '1', 'a'.repeat(10_000)]);
  return `${json.slice(0, index)}"${name}":${json.slice(index + whole.length)}`;
};

const truncated: Mutation = (json, random) => json.slice(0, Math.floor(random() * json.length));
const replaced: Mutation = (_, random) => oneOf(random, VALUES);
const followed: Mutation = (json, random) => json + oneOf(random, [',', '}', '\0', json, '//', '\n\n{}']);
const preceded: Mutation = (json, random) => oneOf(random, ['\ufeff', ')]}\n', '\u00a0', '\n\t ', ',']) + json;
const commas: Mutation = (json) => json.replaceAll('}', ',}').replaceAll(']', ',]');
const empty: Mutation = () => '';

const mutations: readonly Mutation[] = [
  valueChanged,
  valueChanged,
  valueChanged,
  memberAdded,
  memberAdded,
  memberTwice,
  keyChanged,
  truncated,
  replaced,
  followed,
  preceded,
  commas,
  empty,
];

/** A message in JSON that is not quite one any more; some of it no UTF-8 either. */
export function mutatedJson(json: string, random: Random): Buffer {
  const changed = oneOf(random, mutations)(json, random);
  const form = random();
  if (form < 0.02) return Buffer.from(changed, 'utf16le');
  if (form < 0.05)
    return Buffer.concat([Buffer.from(changed.slice(0, 20)), Buffer.of(0xff, 0xc0), Buffer.from(changed.slice(20))]);
  return Buffer.from(changed);
}
