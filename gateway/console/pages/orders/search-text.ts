import type { Session } from '../../session.ts';

/** What a search text can be. */
export type Meaning = 'order' | 'email' | 'customer' | 'correlation';

export const meaningNames: Readonly<Record<Meaning, string>> = {
  order: 'order id',
  email: 'e-mail',
  customer: 'customer',
  correlation: 'correlation id',
};

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const MAX_LENGTHS: Readonly<Record<Meaning, number>> = { order: 36, email: 254, customer: 128, correlation: 128 };

/** What a search text may be, by what it looks like, the likeliest first. Nobody but an operator looks for customers. */
export function meaningsOf(text: string, role: Session['role']): Meaning[] {
  if (text === '') return [];
  const meanings: Meaning[] = UUID.test(text)
    ? ['order', 'correlation', 'customer']
    : /.@./.test(text)
      ? ['email', 'customer', 'correlation']
      : ['customer', 'correlation'];
  return meanings.filter(
    (meaning) => text.length <= MAX_LENGTHS[meaning] && (meaning !== 'customer' || role === 'operator'),
  );
}

export function isOrderId(text: string): boolean {
  return UUID.test(text);
}
