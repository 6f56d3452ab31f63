import { expect, test } from 'vitest';
import { given } from '#kit/testing/given.ts';
import { type EmailSent, email } from './email.ts';

const sent: EmailSent = {
  type: 'EmailSent',
  orderId: 'order-1',
  customerId: 'anna',
  kind: 1,
  causeId: 'confirmed-1',
  messageId: '<1@causeway.example>',
  subject: 'Your order order-1 is confirmed',
  to: 'anna@example.com',
};

test('an e-mail that was sent is recorded', () => {
  given(email)
    .when({ ...sent, type: 'RecordEmail' })
    .thenEvent(sent);
});

test('an event that was told already is recorded once', () => {
  given(email, sent, { ...sent, causeId: 'shipped-1' })
    .when({ ...sent, type: 'RecordEmail' })
    .thenNothing();
});

test('another event about the same order is told too', () => {
  const shipped: EmailSent = { ...sent, kind: 2, causeId: 'shipped-1' };
  given(email, sent)
    .when({ ...shipped, type: 'RecordEmail' })
    .thenEvent(shipped);
});

test('what is remembered of an order is bounded, however much there is to tell', () => {
  const refunds = Array.from({ length: 1_000 }, (_, number) => ({ ...sent, causeId: `refund-${number}` }));

  const { causeIds } = refunds.reduce((told, each) => email.evolve(told, each), email.initialState);

  expect(causeIds.length).toBeLessThan(50);
  expect(causeIds.at(-1)).toBe('refund-999');
});
