import { type Message, toBinary } from '@bufbuild/protobuf';
import { type Order, OrderSchema } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { decoded } from '#kit/decoded.ts';
import { type OrderDocument, orderMessage, ordersView } from '../orders/orders-view.ts';
import type { PastEvent } from './history-view.ts';

type OrderEvent = Parameters<typeof ordersView.project>[1];

/**
 * Tells how an order stood after each of its events, asked first to last: what happens in other services leaves it as
 * it was.
 * @param options.maxBytes of all orders that are told: beyond it, those that are as before are left out.
 */
export function orderOverTime(
  orderId: string,
  { maxBytes = Number.POSITIVE_INFINITY }: { maxBytes?: number } = {},
): (event: PastEvent) => Order | undefined {
  let document: OrderDocument | undefined;
  let order: Order | undefined;
  let size = 0;
  let told = 0;
  return (event) => {
    const isItsOwn = ordersView.types.knows(event.type);
    if (isItsOwn) {
      document = ordersView.project(document, recorded(event)) ?? document;
      order = document && orderMessage({ ...document, _id: orderId });
      size = order === undefined ? 0 : toBinary(OrderSchema, order).length;
    }
    if (!isItsOwn && told + size > maxBytes) return undefined;
    told += size;
    return order;
  };
}

/** The event as the view reads it from the journal. */
function recorded(event: PastEvent): OrderEvent {
  const data: Message = decoded(ordersView.types.type(event.type), event.data.value());
  return { ...event, data: ordersView.types.upcast(data) } as unknown as OrderEvent;
}
