import { describe, expect, test } from 'vitest';
import { type News, orderEmail } from './order-email.ts';

const price = (units: number, nanos = 0) => ({ currencyCode: 'EUR', units, nanos });

const order = {
  orderId: 'order-1',
  name: 'Anna Novak',
  lines: [
    { name: 'Coffee beans', quantity: 2, unitPrice: price(12, 500_000_000) },
    { name: 'Espresso cup', quantity: 1, unitPrice: price(8) },
  ],
  total: price(33),
};

const news: [News, string, string][] = [
  [{ type: 'OrderConfirmed' }, 'Your order order-1 is confirmed', 'We have your order'],
  [{ type: 'OrderShipped', trackingNumber: 'CW-77' }, 'Your order order-1 is on its way', 'tracking number is CW-77.'],
  [{ type: 'OrderCancelled', reason: 'sold out' }, 'Your order order-1 is cancelled', 'The reason: sold out'],
  [{ type: 'PaymentRefunded', amount: price(0, 990_000_001) }, 'Your order order-1 is refunded', '0.990000001 EUR'],
];

test.each(news)('%j is told in text and in HTML', (what, subject, words) => {
  const email = orderEmail(what, order);

  expect(email.subject).toBe(subject);
  for (const form of [email.text, email.html]) {
    expect(form).toContain('Hello Anna Novak,');
    expect(form).toContain(`${subject}.`);
    expect(form).toContain(words);
    expect(form).toContain('2 x Coffee beans, 12.50 EUR each');
    expect(form).toContain('1 x Espresso cup, 8.00 EUR each');
    expect(form).toContain('Total: 33.00 EUR');
  }
});

test('a cancelled order without a reason is told without one', () => {
  expect(orderEmail({ type: 'OrderCancelled', reason: '' }, order).text).not.toContain('reason');
});

describe('what somebody else wrote', () => {
  const evil = `<script>alert("1")</script>\r\nBcc: all@example.com\u2028<b>'&\u202e`;

  test.each<[string, Parameters<typeof orderEmail>]>([
    ['a name', [{ type: 'OrderConfirmed' }, { ...order, name: evil }]],
    ['the name of an item', [{ type: 'OrderConfirmed' }, { ...order, lines: [{ ...line(), name: evil }] }]],
    ['a tracking number', [{ type: 'OrderShipped', trackingNumber: evil }, order]],
    ['a reason', [{ type: 'OrderCancelled', reason: evil }, order]],
  ])('%s can add neither markup nor a line', (_, [what, about]) => {
    const email = orderEmail(what, about);

    expect(email.html).not.toMatch(/<script|<b>|\u202e|"1"/);
    expect(email.html).toContain('&lt;script&gt;alert(');
    for (const form of [email.text, email.html, email.subject]) expect(form).not.toMatch(/^\W*Bcc:|\r|\u2028/m);
  });

  test('is not longer than a name is', () => {
    const { text } = orderEmail({ type: 'OrderConfirmed' }, { ...order, name: '😀 win now '.repeat(50) });

    expect(text.split('\n')[0]?.length).toBeLessThan(90);
  });
});

function line() {
  return { name: '', quantity: 1, unitPrice: price(1) };
}
