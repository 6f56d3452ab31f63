import { Header } from '#kit/event.ts';
import type { JsonSchema } from './payload-schemas.ts';

const text = (description: string, more: JsonSchema = {}): JsonSchema => ({ type: 'string', description, ...more });

/** The headers of every event: CloudEvents 1.0 in NATS' binary mode, W3C Trace Context, and the platform's own. */
export const eventHeaders: JsonSchema = {
  type: 'object',
  description: 'CloudEvents 1.0 attributes (NATS binary mode), W3C Trace Context, and what the platform adds.',
  required: [
    Header.specVersion,
    Header.id,
    Header.source,
    Header.type,
    Header.time,
    Header.subject,
    Header.contentType,
    Header.version,
    Header.correlation,
    Header.causation,
    Header.actor,
  ],
  properties: {
    [Header.specVersion]: text('Version of CloudEvents.', { const: '1.0' }),
    [Header.id]: text('Unique; the same for the same cause, so that a repeat can be told.'),
    [Header.source]: text('The service that said it, such as `/causeway/orders`.'),
    [Header.type]: text('Full name of the message type.'),
    [Header.time]: text('When it was decided.', { format: 'date-time' }),
    [Header.subject]: text("The aggregate's key."),
    [Header.contentType]: text('Encoding of the body.', { const: 'application/protobuf' }),
    [Header.dataSchema]: text('Where the contract of the type is, such as `/proto/causeway.orders.v1.OrderPlaced`.'),
    [Header.version]: text('Version of the aggregate that it made, from 1.', { pattern: '^[1-9][0-9]*$' }),
    [Header.correlation]: text('Joins everything that follows from one act of a caller. Percent-encoded.'),
    [Header.causation]: text('Id of the event or request that led to it. Percent-encoded.'),
    [Header.actor]: text('Who caused it: the subject of a token, or a service. Percent-encoded.'),
    [Header.traceparent]: text('W3C Trace Context.'),
    [Header.tracestate]: text('W3C Trace Context.'),
    [Header.key]: text('Of the customer whose personal data is sealed in it. Once it is destroyed, so is the data.'),
    [Header.attempts]: text('How many attempts its cause took, where that was more than one.', { pattern: '^[0-9]+$' }),
  },
};
