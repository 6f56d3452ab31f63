import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { PaymentRequestedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { OrderPlacedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import { checkedJson, editableJson } from './letter-json.ts';

const placed = create(OrderPlacedSchema, {
  orderId: 'order-1',
  lines: [{ sku: 'cup', quantity: 2, unitPrice: { currencyCode: 'EUR', units: 4n } }],
  sealed: new Uint8Array([1, 2, 3]),
});

test('what is edited is all of a message but what is personal', () => {
  const text = editableJson(OrderPlacedSchema, placed, 'order-1');
  expect(JSON.parse(text)).toEqual({
    orderId: 'order-1',
    lines: [{ sku: 'cup', quantity: 2, unitPrice: { currencyCode: 'EUR', units: '4' } }],
  });
  expect(checkedJson(OrderPlacedSchema, text).message).toEqual({ ...placed, sealed: new Uint8Array() });
});

test('of a message that can not be read all fields are there to be filled', () => {
  expect(JSON.parse(editableJson(PaymentRequestedSchema, undefined, 'order-1'))).toEqual({
    orderId: 'order-1',
    customerId: '',
    paymentMethod: '',
  });
  expect(editableJson(OrderPlacedSchema, undefined, 'order-1')).not.toMatch(/email|sealed|shipTo/);
});

/** The characters that a problem points at. */
function pointed(text: string): [string, string] | undefined {
  const { problem } = checkedJson(OrderPlacedSchema, text);
  return problem && [text.slice(problem.from, problem.to), problem.text];
}

test.each([
  ['{"orderId": 7}', '7', 'expected string'],
  ['{"lines": [{"sku": "a"}, {"sku": "b", "quantity": -1}]}', '-1', 'uint32'],
  ['{"lines": [{"unitPrice": {"units": "many"}}]}', '"many"', 'int64'],
  ['{"lines": {"sku": "a"}}', '{"sku": "a"}', 'Array'],
  ['{"lines": ["a"]}', '"a"', 'OrderLine is an object'],
  ['{"total": 7}', '7', 'Money is an object'],
  ['{"colour": "red"}', '"colour"', 'OrderPlaced has no field colour'],
  ['{"email": "a@example.com"}', '"email"', 'personal'],
  ['{"ship_to": {}}', '"ship_to"', 'personal'],
  ['{"sealed": "AQID"}', '"sealed"', 'personal'],
  ['[]', '[]', 'OrderPlaced is an object'],
  ['{"orderId" "x"}', '"', 'a colon'],
])('in %s the problem is %s', (text, at, why) => {
  expect(pointed(text)).toEqual([at, expect.stringContaining(why)]);
});

test('a problem has its line and column', () => {
  const { problem } = checkedJson(OrderPlacedSchema, '{\n  "orderId": "a",\n  "total": 7\n}');
  expect(problem).toMatchObject({ line: 3, column: 12 });
});

test('null, and names as the contract writes them, are taken as the library takes them', () => {
  const { message } = checkedJson(OrderPlacedSchema, '{"order_id": "a", "total": null, "lines": []}');
  expect(message).toEqual(create(OrderPlacedSchema, { orderId: 'a' }));
});

test('a moment is checked by its own type', () => {
  const { problem } = checkedJson(PaymentRequestedSchema, '{"deadline": "soon"}');
  expect(problem).toMatchObject({ text: 'invalid RFC 3339 string', from: 13, to: 19 });
});
