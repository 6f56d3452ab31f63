import { type Html, html } from './html.ts';

type Money = { currencyCode: string; units: number; nanos: number };

/** What an e-mail says of the order that it is about. */
export type Order = {
  orderId: string;
  name: string;
  lines: readonly { name: string; quantity: number; unitPrice: Money }[];
  total: Money;
};

/** What there is to tell. */
export type News =
  | { type: 'OrderConfirmed' }
  | { type: 'OrderShipped'; trackingNumber: string }
  | { type: 'OrderCancelled'; reason: string }
  | { type: 'PaymentRefunded'; amount: Money };

/** A letter before it is text or HTML: each string is one line. */
type Letter = { title: string; greeting: string; paragraphs: string[]; items: string[]; total: string };

/** Nobody reads more of a name, and who orders in another's name can't put a letter of its own into it. */
const MAX_NAME = 60;

/** An e-mail about an order. Its subject holds nothing personal, because it is recorded in the clear. */
export function orderEmail(news: News, order: Order): { subject: string; text: string; html: string } {
  const { happened, paragraphs } = words(news);
  const letter: Letter = {
    title: `Your order ${oneLine(order.orderId)} ${happened}`,
    greeting: order.name.trim() === '' ? 'Hello,' : `Hello ${shortened(oneLine(order.name))},`,
    paragraphs: paragraphs.map(oneLine),
    items: order.lines.map((line) => `${line.quantity} x ${oneLine(line.name)}, ${priceOf(line.unitPrice)} each`),
    total: priceOf(order.total),
  };
  return { subject: letter.title, text: asText(letter), html: asHtml(letter).markup };
}

function words(news: News): { happened: string; paragraphs: string[] } {
  switch (news.type) {
    case 'OrderConfirmed':
      return { happened: 'is confirmed', paragraphs: ['We have your order, and are getting it ready.'] };
    case 'OrderShipped':
      return { happened: 'is on its way', paragraphs: [`Its tracking number is ${news.trackingNumber}.`] };
    case 'OrderCancelled':
      return {
        happened: 'is cancelled',
        paragraphs: [...(news.reason === '' ? [] : [`The reason: ${news.reason}`]), 'You pay nothing for it.'],
      };
    case 'PaymentRefunded':
      return { happened: 'is refunded', paragraphs: [`You get back ${priceOf(news.amount)}.`] };
    default:
      return news satisfies never;
  }
}

function asText({ title, greeting, paragraphs, items, total }: Letter): string {
  return [
    greeting,
    [`${title}.`, ...paragraphs].join('\n'),
    items.map((item) => `- ${item}`).join('\n'),
    `Total: ${total}`,
    '',
  ].join('\n\n');
}

function asHtml({ title, greeting, paragraphs, items, total }: Letter): Html {
  return html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${title}</title></head>
<body style="font-family: sans-serif; line-height: 1.5">
<p>${greeting}</p>
<p><strong>${title}.</strong></p>
${paragraphs.map((paragraph) => html`<p>${paragraph}</p>\n`)}<ul>
${items.map((item) => html`<li>${item}</li>\n`)}</ul>
<p>Total: ${total}</p>
</body>
</html>
`;
}

/** Exact, with at least two decimals: `12.50 EUR`. */
function priceOf({ currencyCode, units, nanos }: Money): string {
  const decimals = String(Math.abs(nanos))
    .padStart(9, '0')
    .replace(/0{1,7}$/, '');
  return `${units < 0 || nanos < 0 ? '-' : ''}${Math.abs(units)}.${decimals} ${currencyCode}`;
}

/** What somebody else wrote stays on its line, and in its direction of writing. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu, ' ').trim();
}

function shortened(text: string): string {
  const characters = [...text];
  return characters.length > MAX_NAME ? `${characters.slice(0, MAX_NAME).join('')}…` : text;
}
