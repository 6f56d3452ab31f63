import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import {
  DeadLetterActEndedSchema,
  DeadLetterReplayRequestedSchema,
  FulfilmentResolutionRequestedSchema,
  ParkedKeyReplayedSchema,
  ParkedKeyTakenSchema,
  Resolution,
} from '#gen/causeway/operations/v1/events_pb.js';
import { type LoggedEvent, LoggedEventSchema } from '#gen/causeway/operations/v1/log_pb.js';
import { actsOf } from './act-record.ts';

let sequence = 0n;

function logged<Desc extends DescMessage>(aggregate: string, key: string, schema: Desc, said: MessageInitShape<Desc>) {
  sequence += 1n;
  return create(LoggedEventSchema, {
    stream: 'OPERATIONS',
    sequence,
    aggregate,
    key,
    actor: 'olga',
    type: schema.typeName,
    data: anyPack(schema, create(schema, said)),
  });
}

const requested = logged('act', 'act-1', DeadLetterReplayRequestedSchema, {
  selection: { consumer: 'shipping-send', reason: 'CANNOT_DECODE' },
  note: 'mended',
});
const taken = logged('act', 'act-1', ParkedKeyTakenSchema, { key: 'order-1' });
const replayed = logged('act', 'act-1', ParkedKeyReplayedSchema, {
  consumer: 'shipping-send',
  key: 'order-1',
  handled: 2,
  remaining: 1,
  error: 'again',
});
const settled = logged('fulfilment', 'order-2', FulfilmentResolutionRequestedSchema, {
  orderId: 'order-2',
  resolution: Resolution.RETRY,
  note: 'by phone',
});
const interrupted = logged('act', 'act-1', DeadLetterActEndedSchema, { interrupted: true });
const ended = logged('act', 'act-1', DeadLetterActEndedSchema, {});

/** As the log has them: the newest first. */
const newestFirst = (...events: LoggedEvent[]) => events.toReversed();

test('an act is who did what to what, and why, with what came of each key', () => {
  const [settling, replay] = actsOf(newestFirst(requested, taken, replayed, settled, ended));
  expect(replay).toMatchObject({
    what: 'Replayed',
    about: 'shipping-send, cannot decode',
    who: 'olga',
    why: 'mended',
    keys: [{ consumer: 'shipping-send', key: 'order-1', text: '2 messages handled, 1 still parked', error: 'again' }],
    end: 'ended',
  });
  expect(settling).toMatchObject({ what: 'Settled', about: 'order-2: retry', why: 'by phone', keys: [], end: 'none' });
});

test('an act that was interrupted is open again when it is gone on with', () => {
  expect(actsOf(newestFirst(requested, interrupted))[0]?.end).toBe('interrupted');
  expect(actsOf(newestFirst(requested, interrupted, taken))[0]?.end).toBe('open');
});

test('what came of an act whose beginning was not read is left out', () => {
  expect(actsOf(newestFirst(replayed, ended))).toEqual([]);
});
