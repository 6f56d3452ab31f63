import fc from 'fast-check';
import { v5 } from 'uuid';
import { expect, test } from 'vitest';
import { uuidsIn } from './uuid.ts';

const DNS = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';

test('a UUID made from a name is the one of RFC 9562', () => {
  expect(uuidsIn(DNS)('www.example.com')).toBe('2ed6657d-e927-568b-95e1-2665a8aea6a2');
});

test('whatever the name is, it is the UUID that others make from it', () => {
  const uuid = uuidsIn(DNS);
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (name) => uuid(name) === v5(name, DNS)));
});

test('a namespace that is no UUID is refused', () => {
  expect(() => uuidsIn('orders')).toThrow(RangeError);
});
