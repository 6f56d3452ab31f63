import { useRef, useState } from 'react';
import type { HistoryEvent } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { orders } from '../../connection.ts';
import { type StreamState, useStream } from '../../parts/stream.ts';
import type { Place } from './came-from.ts';
import { toldAgain, withEvent } from './moments.ts';

export type History = StreamState & { events: readonly HistoryEvent[] };

/** An order's events from all services, those so far and those to come, a cause before its effects. */
export function useHistory(orderId: string): History {
  const [events, setEvents] = useState<readonly HistoryEvent[]>([]);
  const told = useRef<HistoryEvent[]>([]);
  const state = useStream(
    orderId,
    (signal) => {
      told.current = [];
      return orders.watchOrder({ orderId, includeOrder: true }, { signal });
    },
    ({ event }) => {
      if (event === undefined) return;
      told.current = withEvent(told.current, event);
      const next = told.current;
      setEvents((before) => toldAgain(before, next));
    },
  );
  return { ...state, events };
}

/** Where the latest event of a stream stands: what is asked for with it is not older than what the page shows. */
export function placeOfLast(events: readonly HistoryEvent[], stream: string): Place | undefined {
  const position = events.findLast((event) => event.position?.stream === stream)?.position;
  if (position === undefined) return undefined;
  return { stream, partition: position.partition, sequence: position.sequence };
}
