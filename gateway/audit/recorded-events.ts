import { eventFiles } from '#gen/events.js';
import type { Broker } from '#kit/broker.ts';
import { EventTypes, eventsIn, type RecordedEvent, readEvent } from '#kit/event.ts';
import { storedFromConsumer } from '#kit/journal.ts';

/** Every event that any service knows. */
const types = new EventTypes(eventFiles.flatMap(eventsIn));

/** Personal data is not needed to audit, and stays sealed. */
const noKeys = { find: async () => undefined };

const READ_AT_ONCE = 1_000;
const READ_WITHIN_MS = 5_000;

/**
 * A stream's events, first to last, as far as it has come when it is begun.
 * @param onMalformed is told of each message that is no event.
 */
export async function* recordedEvents(
  { js, manager }: Broker,
  stream: string,
  onMalformed: (problem: string) => void,
): AsyncGenerator<RecordedEvent> {
  const { state } = await manager.streams.info(stream);
  if (state.messages === 0) return;
  const consumer = await js.consumers.get(stream);
  try {
    for (;;) {
      const messages = await consumer.fetch({ max_messages: READ_AT_ONCE, expires: READ_WITHIN_MS });
      for await (const message of messages) {
        const stored = storedFromConsumer(message);
        try {
          yield await readEvent(stored, types, noKeys);
        } catch (error) {
          onMalformed(`${stream} ${stored.sequence}: ${error instanceof Error ? error.message : error}`);
        }
        if (stored.sequence >= state.last_seq) return;
      }
      // Where a stream forgets, the last ones may have gone meanwhile.
      if ((await manager.streams.info(stream)).state.first_seq > state.last_seq) return;
    }
  } finally {
    // It would go by itself, minutes later.
    await consumer.delete().catch(() => {});
  }
}
