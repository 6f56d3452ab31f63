import type { Position } from '#gen/causeway/events/v1/position_pb.js';

/** What a query takes as `at_least`. */
export type Place = Pick<Position, 'stream' | 'partition' | 'sequence'>;

/** Goes along to the page of an order that was placed just now, so that the page does not look before the order is there. */
type CameFrom = { placedAt: Place };

export function cameFrom(position: Position | undefined): CameFrom | undefined {
  if (position === undefined) return undefined;
  const { stream, partition, sequence } = position;
  return { placedAt: { stream, partition, sequence } };
}

export function placedAt(): Place | undefined {
  return (history.state as Partial<CameFrom> | null)?.placedAt;
}
