import { expect, test } from 'vitest';
import { meaningsOf } from './search-text.ts';

const uuid = '00000000-0000-4000-8000-000000000001';

test.each([
  ['', []],
  [uuid, ['order', 'correlation', 'customer']],
  [uuid.toUpperCase(), ['order', 'correlation', 'customer']],
  ['Anna@example.com', ['email', 'customer', 'correlation']],
  ['anna', ['customer', 'correlation']],
  ['checkout-17', ['customer', 'correlation']],
  // Longer than any customer's id, and than any correlation id.
  [`${'a'.repeat(130)}@example.com`, ['email']],
])('an operator who looks for "%s" may mean %j', (text, meanings) => {
  expect(meaningsOf(text, 'operator')).toEqual(meanings);
});

test('a customer has no other customers to look for', () => {
  expect(meaningsOf('anna', 'customer')).toEqual(['correlation']);
  expect(meaningsOf(uuid, 'customer')).toEqual(['order', 'correlation']);
});
