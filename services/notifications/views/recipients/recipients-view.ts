import { type OrderPlaced, OrderPlacedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import type { Money as MoneyMessage } from '#gen/google/type/money_pb.js';
import { EventTypes, type RecordedEvent } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { View } from '#kit/view.ts';

type Money = { currencyCode: string; units: number; nanos: number };

/** Who is told about an order, and what was ordered. */
export type Recipient = {
  customerId: string;
  /** Empty where the customer was erased before it was read. */
  email: string;
  name: string;
  lines: { name: string; quantity: number; unitPrice: Money }[];
  total: Money;
  /** Of the customer's data: once this key is destroyed, the customer is erased. */
  keyId: string;
};

export const recipientsView: View<Recipient, OrderPlaced> = {
  name: 'recipients',
  version: 1,
  sources: [{ journal: journalOf('orders'), aggregate: 'order' }],
  types: new EventTypes([OrderPlacedSchema]),
  ownerField: 'customerId',
  erased: (recipient) => ({ ...recipient, email: '', name: '' }),
  project: (_, event) => recipientOf(event),
};

export function recipientOf({ data, keyId }: RecordedEvent<OrderPlaced>): Recipient {
  return {
    customerId: data.customerId,
    email: data.email,
    name: data.shipTo?.name ?? '',
    lines: data.lines.map(({ name, quantity, unitPrice }) => ({ name, quantity, unitPrice: plain(unitPrice) })),
    total: plain(data.total),
    keyId,
  };
}

/** An amount as a document and an e-mail have it. */
export function plain(amount: MoneyMessage | undefined): Money {
  return { currencyCode: amount?.currencyCode ?? '', units: Number(amount?.units ?? 0n), nanos: amount?.nanos ?? 0 };
}
