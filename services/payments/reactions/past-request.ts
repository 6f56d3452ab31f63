import { type PaymentRequested, PaymentRequestedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import type { Broker } from '#kit/broker.ts';
import { EventTypes, Header, readEvent } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import { subjectOf } from '#kit/partitions.ts';
import type { Keys } from '#kit/personal-data.ts';
import { journalOf } from '#kit/streams.ts';
import type { AuthorizationRequest } from './payment-provider.ts';
import { requestIn } from './requested.ts';

const types = new EventTypes([PaymentRequestedSchema]);

/**
 * What fulfilment asked for an order; undefined where it asked for nothing. Reads the order's history there, so only for
 * a void that comes before anything is known of the payment.
 */
export async function pastRequest(
  { broker, personalData }: { broker: Broker; personalData: Keys },
  orderId: string,
): Promise<AuthorizationRequest | undefined> {
  const journal = new Journal(journalOf('fulfilment'), broker);
  const events = await journal.history(subjectOf('fulfilment', 'fulfilment', orderId));
  const found = events.find(({ headers }) => types.knows(headers.get(Header.type)));
  if (found === undefined) return undefined;
  const { data } = await readEvent(found, types, personalData);
  return requestIn(data as PaymentRequested);
}
