import { eventFiles } from '#gen/events.js';
import type { Broker } from '#kit/broker.ts';
import { EventTypes, eventsIn, type RecordedEvent, readEvent } from '#kit/event.ts';
import { noKeys } from '#kit/personal-data.ts';
import { messagesBetween } from '#kit/stream-window.ts';

/** Every event that any service knows. */
const types = new EventTypes(eventFiles.flatMap(eventsIn));

/**
 * A stream's events, first to last, as far as it has come when it is begun.
 * @param onMalformed is told of each message that is no event.
 */
export async function* recordedEvents(
  broker: Broker,
  stream: string,
  onMalformed: (problem: string) => void,
): AsyncGenerator<RecordedEvent> {
  const { state } = await broker.manager.streams.info(stream);
  for await (const stored of messagesBetween(broker, stream, {
    from: Math.max(state.first_seq, 1),
    to: state.last_seq,
  })) {
    try {
      // Personal data is not needed to audit, and stays sealed.
      yield await readEvent(stored, types, noKeys);
    } catch (error) {
      onMalformed(`${stream} ${stored.sequence}: ${error instanceof Error ? error.message : error}`);
    }
  }
}
