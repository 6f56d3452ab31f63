import { type DescField, type DescMessage, getOption, ScalarType } from '@bufbuild/protobuf';
import { sealed } from '#gen/causeway/events/v1/options_pb.js';
import type { Contracts } from '#kit/contracts.ts';

type Json = string | number | boolean | Json[] | { [name: string]: Json };

/** What a message in a message in a message may have; one that is inside itself ends here. */
const MAX_DEPTH = 5;

/** Well-known types have forms of their own in JSON, and money is more than three numbers. */
const OF_TYPE: Record<string, Json> = {
  'google.protobuf.Timestamp': '2026-03-14T09:26:53Z',
  'google.protobuf.Duration': '90s',
  'google.type.Money': { currencyCode: 'EUR', units: '24', nanos: 500_000_000 },
};

/** Texts by the end of a field's name; the first that fits. */
const TEXTS: readonly [RegExp, string][] = [
  [/^customer_id$|^owner(_name)?$/, 'alice'],
  [/(^|_)id$/, '3b6a1c52-8f0e-4d7a-9c41-5e2f7a90d1b6'],
  [/(^|_)skus?$/, 'coffee-beans'],
  [/(^|_)(email|to)$/, 'alice@example.com'],
  [/^line1$/, '1 Harbour Road'],
  [/^city$/, 'Galway'],
  [/^postal_code$/, 'H91 XY12'],
  [/^country_code$/, 'IE'],
  [/^payment_method$/, 'pm_ok'],
  [/^tracking_number$/, 'CW-0000-2718'],
  [/^carrier$/, 'sandbox'],
  [/^provider$/, 'sandbox'],
  [/^reference$/, 'pi_2718'],
  [/^url$/, 'https://example.com/hooks'],
  [/^secret$/, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
  [/^payload$/, '{"order_id":"3b6a1c52-8f0e-4d7a-9c41-5e2f7a90d1b6"}'],
  [/(^|_)types?$/, 'causeway.public.v1.OrderCompleted'],
  [/^stream$/, 'ORDERS'],
  [/^consumer$/, 'payments-authorize-payment-on-payment-requested'],
  [/^service$/, 'orders'],
  [/^view$/, 'history'],
  [/^currency_code$/, 'EUR'],
];

const NUMBERS: readonly [RegExp, number][] = [
  [/^http_status$/, 200],
  [/_ms$/, 42],
  [/^quantity$/, 2],
  [/sequence$/, 1618],
];

/** An event as it could be, as JSON of its type: a value for each field, by what the field is called. */
export function exampleOf(type: DescMessage, contracts: Contracts): Json {
  return messageExample(type, contracts, MAX_DEPTH);
}

function messageExample(type: DescMessage, contracts: Contracts, depth: number): Json {
  const known = OF_TYPE[type.typeName];
  if (known !== undefined) return known;
  const told = type.fields.filter((field) => isTold(field, depth));
  return Object.fromEntries(told.map((field) => [field.jsonName, fieldExample(field, contracts, depth)]));
}

/** What is sealed stands in the clear beside; of several that exclude each other the first is told. */
function isTold(field: DescField, depth: number): boolean {
  if (getOption(field, sealed)) return false;
  if (field.oneof !== undefined && field.oneof.fields[0] !== field) return false;
  return depth > 0 || field.message === undefined;
}

function fieldExample(field: DescField, contracts: Contracts, depth: number): Json {
  const one = () => singleExample(field, contracts, depth);
  if (field.fieldKind === 'list') return [one()];
  return field.fieldKind === 'map' ? { [mapKey(field.mapKey)]: one() } : one();
}

function mapKey(type: ScalarType): string {
  if (type === ScalarType.STRING) return 'name';
  return type === ScalarType.BOOL ? 'true' : '1';
}

function singleExample(field: DescField, contracts: Contracts, depth: number): Json {
  if (field.message !== undefined) return messageExample(field.message, contracts, depth - 1);
  if (field.enum !== undefined)
    return (field.enum.values.find(({ number }) => number !== 0) ?? field.enum.values[0])?.name ?? 0;
  return scalarExample(field.scalar ?? ScalarType.STRING, field, contracts);
}

function scalarExample(type: ScalarType, field: DescField, contracts: Contracts): Json {
  switch (type) {
    case ScalarType.STRING:
      return textExample(field, contracts);
    case ScalarType.BOOL:
      return true;
    case ScalarType.BYTES:
      return Buffer.from(field.name).toString('base64');
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return String(numberExample(field));
    default:
      return numberExample(field);
  }
}

function numberExample({ name }: DescField): number {
  return NUMBERS.find(([pattern]) => pattern.test(name))?.[1] ?? 1;
}

/** A word that the contract gives for programs, such as OUT_OF_STOCK or "card_declined", is the best example. */
function textExample(field: DescField, contracts: Contracts): string {
  const comment = contracts.commentOf(field).replaceAll('UPPER_SNAKE_CASE', '');
  const [given] = /(?<=")[^"]+(?=")|\b[A-Z]+(?:_[A-Z]+)+\b/.exec(comment) ?? [];
  const byName = TEXTS.find(([pattern]) => pattern.test(field.name))?.[1];
  if (field.name === 'name') return field.parent.name === 'Address' ? 'Alice Adams' : 'Coffee beans, 1 kg';
  return byName ?? given ?? `${field.name.replaceAll('_', ' ')} in words`;
}
