import type { CommandRequest } from './decider.ts';
import type { RecordedEvent } from './event.ts';

/**
 * What a command says of the event that it follows from: the same event again is the same request, with the same answer.
 * @param service whose reaction sends the command: the actor of what comes of it.
 */
export function causedBy(
  { id, correlationId }: Pick<RecordedEvent, 'id' | 'correlationId'>,
  service: string,
): Pick<CommandRequest<never>, 'caller' | 'requestId' | 'content' | 'correlationId' | 'causationId'> {
  return { caller: service, requestId: id, content: Buffer.from(id), correlationId, causationId: id };
}
