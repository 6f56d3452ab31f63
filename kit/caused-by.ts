import type { CommandRequest } from './decider.ts';
import type { RecordedEvent } from './event.ts';

/**
 * What a command says of the event that it follows from: the same event again is the same request, with the same answer.
 * @param service whose reaction sends the command: the actor of what comes of it.
 */
export function causedBy(
  { id, correlationId, attempt = 1 }: Pick<RecordedEvent, 'id' | 'correlationId' | 'attempt'>,
  service: string,
): Pick<CommandRequest<never>, 'caller' | 'requestId' | 'content' | 'correlationId' | 'causationId' | 'attempts'> {
  const content = Buffer.from(id);
  return { caller: service, requestId: id, content, correlationId, causationId: id, attempts: attempt };
}
