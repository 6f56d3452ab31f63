import { type Timestamp, timestampMs } from '@bufbuild/protobuf/wkt';

/** As much of an event as tells what it follows from. */
type Caused = { id: string; causationId: string; time?: Timestamp | undefined };

/** What an event follows from and leads to, by places in the history. */
export type Link = {
  /** Undefined where the cause is a request, or is not in the history. */
  cause: number | undefined;
  effects: readonly number[];
  /** From its cause to it, in milliseconds; clocks of two services may differ. */
  gapMs: number | undefined;
};

/** The links of a history, event by event. */
export function linksOf(events: readonly Caused[]): Link[] {
  const placeOf = new Map(events.map(({ id }, index) => [id, index]));
  const links = events.map((event, index) => {
    const found = placeOf.get(event.causationId);
    const cause = found === index ? undefined : found;
    return { cause, effects: [] as number[], gapMs: gapOf(cause === undefined ? undefined : events[cause], event) };
  });
  for (const [index, { cause }] of links.entries()) if (cause !== undefined) links[cause]?.effects.push(index);
  return links;
}

function gapOf(cause: Caused | undefined, effect: Caused): number | undefined {
  if (cause?.time === undefined || effect.time === undefined) return undefined;
  return timestampMs(effect.time) - timestampMs(cause.time);
}

/** All that an event follows from, back to the first. */
export function causesOf(links: readonly Link[], index: number): Set<number> {
  const causes = new Set<number>();
  for (let at = links[index]?.cause; at !== undefined && !causes.has(at); at = links[at]?.cause) causes.add(at);
  causes.delete(index);
  return causes;
}
