import { FulfilmentNeedsAttentionSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import type { Broker } from '#kit/broker.ts';
import { Header, versionOf } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import { subjectOf } from '#kit/partitions.ts';
import { journalOf } from '#kit/streams.ts';
import type { Standing } from '../domain/resolution.ts';

/**
 * How a fulfilment stands, as the leaders of the journals know it, and the event that a resolution of it follows from.
 * It needs attention where that is the last that was said of it, and no operator has answered to it.
 */
export async function fulfilmentStanding(
  broker: Broker,
  orderId: string,
): Promise<{ standing: Standing; causationId: string }> {
  const [said, answered] = await Promise.all(
    ['fulfilment', 'operations'].map((service) =>
      new Journal(journalOf(service), broker).lastOnLeader(subjectOf(service, 'fulfilment', orderId)),
    ),
  );
  if (said === undefined) return { standing: { is: 'unknown' }, causationId: orderId };
  const causationId = said.headers.get(Header.id);
  if (said.headers.get(Header.type) !== FulfilmentNeedsAttentionSchema.typeName) {
    return { standing: { is: 'not in need' }, causationId };
  }
  if (answered?.headers.get(Header.causation) === causationId) {
    return { standing: { is: 'settled just now' }, causationId };
  }
  const requestsBefore = answered === undefined ? 0 : versionOf(answered);
  return { standing: { is: 'in need', requestsBefore }, causationId };
}
