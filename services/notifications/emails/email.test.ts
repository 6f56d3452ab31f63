import { expect, test } from 'vitest';
import { isAddress, messageIdOf, senderOf } from './email.ts';

test.each([
  ['Causeway <orders@causeway.example>', { name: 'Causeway', address: 'orders@causeway.example' }],
  ['"Causeway, Ltd." <orders@causeway.example>', { name: 'Causeway, Ltd.', address: 'orders@causeway.example' }],
  ['orders@causeway.example', { name: '', address: 'orders@causeway.example' }],
])('a sender is read from %j', (text, sender) => {
  expect(senderOf(text)).toEqual(sender);
});

test.each(['Causeway', 'Causeway <orders>', '<a@b.example>\r\nBcc: c@d.example'])('%j is no sender', (text) => {
  expect(() => senderOf(text)).toThrow('MAIL_FROM must be an address');
});

test('a Message-ID is the same for the same cause only, and of the sender', () => {
  const from = senderOf('Causeway <orders@causeway.example>');

  expect(messageIdOf('event-1', from)).toBe(messageIdOf('event-1', from));
  expect(messageIdOf('event-1', from)).not.toBe(messageIdOf('event-2', from));
  expect(messageIdOf('an id\r\nwith > anything', from)).toMatch(/^<[0-9a-f]{32}@causeway\.example>$/);
});

test.each([
  ['anna@example.com', true],
  ["o'neill+tag@mail.example.co.uk", true],
  ['', false],
  ['anna', false],
  ['anna@example.com>', false],
  ['anna@example.com, eve@example.com', false],
  ['anna@example.com\r\nRCPT TO:<eve@example.com>', false],
])('whether %j is an address: %j', (text, expected) => {
  expect(isAddress(text)).toBe(expected);
});
