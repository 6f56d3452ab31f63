import { randomUUID } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { type DeliveryRequested, DeliveryRequestedSchema } from '#gen/causeway/webhooks/v1/events_pb.js';
import { causedBy } from '#kit/caused-by.ts';
import type { Reaction } from '#kit/consumer.ts';
import type { CommandRequest } from '#kit/decider.ts';
import { PermanentError, TransientError } from '#kit/errors.ts';
import { EventTypes, type RecordedEvent } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { AttemptEvent, Attempts } from '../domain/attempts.ts';
import type { Endpoint, EndpointCommand } from '../domain/endpoint.ts';
import type { EndpointTraffic } from './endpoint-traffic.ts';

/** What a receiver has answered. */
export type Answer = {
  httpStatus: number;
  /** It does not want to be asked before; 0: it did not say. */
  retryAfterMs: number;
};

/** A receiver has not answered. The message says why, and may be shown to an operator. */
export class NoAnswerError extends Error {
  override name = 'NoAnswerError';
}

/** Posts once. @throws NoAnswerError; the signal's reason once it aborts. */
export type Post = (url: string, headers: Record<string, string>, body: string, signal: AbortSignal) => Promise<Answer>;

export type DeliverParts = {
  /** The endpoint as its journal's leader knows it. */
  endpoint(endpointId: string): Promise<Endpoint | undefined>;
  /** What has become of the delivery so far, as the leader knows it. */
  attempts(deliveryId: string): Promise<Attempts | undefined>;
  changeEndpoint(request: CommandRequest<EndpointCommand>): Promise<unknown>;
  note(request: CommandRequest<AttemptEvent>): Promise<unknown>;
  post: Post;
  traffic: EndpointTraffic;
  /** Attempts after which the consumer gives up. */
  maxAttempts: number;
  clock(): Date;
};

/** A receiver that wants to be left alone for longer is tried all the same. */
const MAX_RETRY_AFTER_MS = 10 * 60_000;

const GONE = 410;

/** What came of one call. */
type Outcome = Answer & { durationMs: number; error: string };

/**
 * Posts a delivery to its endpoint, and notes what came of it before it is finished with: a process that dies in between
 * posts again, with the same webhook-id.
 */
export function deliver(parts: DeliverParts): Reaction<DeliveryRequested> {
  const { traffic } = parts;
  return {
    name: 'deliver-on-delivery-requested',
    sources: [{ journal: journalOf('webhooks'), aggregate: 'delivery' }],
    begins: 'with-the-first-event',
    types: new EventTypes([DeliveryRequestedSchema]),
    handle: async (event, { signal, attempt }) => {
      const { endpointId, deliveryId } = event.data;
      if (traffic.isOverrun(endpointId, deliveryId)) return giveUp(parts, event);
      const leave = traffic.enter(endpointId, deliveryId, event.partition);
      try {
        await attemptOnce(parts, event, attempt, signal);
      } finally {
        leave();
      }
    },
  };
}

/** The endpoint is down and has enough that waits for it: this one would only be in the way of the others. */
async function giveUp(parts: DeliverParts, event: RecordedEvent<DeliveryRequested>): Promise<void> {
  if (await isSettled(parts, event.data)) return;
  const error = 'not tried: the endpoint is down, and enough wait for it already';
  await note(parts, event, { type: 'DeliveryAttemptFailed', httpStatus: 0, durationMs: 0, error, givenUp: true });
  throw new PermanentError(error);
}

async function attemptOnce(
  parts: DeliverParts,
  event: RecordedEvent<DeliveryRequested>,
  attempt: number,
  signal: AbortSignal,
): Promise<void> {
  const { traffic } = parts;
  const { endpointId, deliveryId } = event.data;
  if (await isSettled(parts, event.data)) return traffic.finished(endpointId, deliveryId);
  const endpoint = await parts.endpoint(endpointId);
  if (endpoint?.status !== 'Enabled' || endpoint.secret === '') return drop(parts, event, 'the endpoint is disabled');

  const { error, durationMs, httpStatus, retryAfterMs } = await call(parts, endpoint, event, signal);
  if (error === '') {
    traffic.succeeded(endpointId, durationMs);
    await note(parts, event, { type: 'DeliverySucceeded', httpStatus, durationMs });
    return traffic.finished(endpointId, deliveryId);
  }
  traffic.failed(endpointId);
  const isGone = httpStatus === GONE;
  const givenUp = !isGone && attempt >= parts.maxAttempts;
  await note(parts, event, { type: 'DeliveryAttemptFailed', httpStatus, durationMs, error, givenUp });
  if (isGone) {
    const command = { type: 'DisableEndpoint', endpointId, reason: 'it answered 410 Gone' } as const;
    await parts.changeEndpoint({ ...causedBy(event, 'integration'), key: endpointId, dataOwner: endpointId, command });
    return drop(parts, event, 'the endpoint answered 410 Gone');
  }
  if (givenUp) traffic.finished(endpointId, deliveryId);
  throw new TransientError(error, { retryAfterMs: Math.min(retryAfterMs, MAX_RETRY_AFTER_MS) });
}

async function isSettled(parts: DeliverParts, { deliveryId }: DeliveryRequested): Promise<boolean> {
  const attempts = await parts.attempts(deliveryId);
  return attempts !== undefined && attempts.status !== 'Open';
}

async function drop(parts: DeliverParts, event: RecordedEvent<DeliveryRequested>, reason: string): Promise<void> {
  const { endpointId, deliveryId } = event.data;
  await note(parts, event, { type: 'DeliveryDropped', reason });
  parts.traffic.finished(endpointId, deliveryId);
}

/** Whatever is not 2xx has failed, redirects too. */
async function call(
  { post, clock }: DeliverParts,
  { url, secret }: Exclude<Endpoint, { status: 'None' }>,
  { data: { deliveryId, payload } }: RecordedEvent<DeliveryRequested>,
  signal: AbortSignal,
): Promise<Outcome> {
  const now = clock();
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'Causeway-Webhooks',
    'webhook-id': deliveryId,
    'webhook-timestamp': String(Math.floor(now.getTime() / 1_000)),
    'webhook-signature': new Webhook(secret).sign(deliveryId, now, payload),
  };
  const began = performance.now();
  const durationMs = () => Math.round(performance.now() - began);
  try {
    const answer = await post(url, headers, payload, signal);
    const isGood = answer.httpStatus >= 200 && answer.httpStatus < 300;
    return { ...answer, durationMs: durationMs(), error: isGood ? '' : `the endpoint answered ${answer.httpStatus}` };
  } catch (error) {
    if (!(error instanceof NoAnswerError)) throw error;
    return { httpStatus: 0, retryAfterMs: 0, durationMs: durationMs(), error: error.message };
  }
}

type Noted = AttemptEvent extends infer Each
  ? Each extends AttemptEvent
    ? Omit<Each, 'deliveryId' | 'endpointId'>
    : never
  : never;

/** Each attempt is a fact of its own, also where two of them say the same. */
async function note(parts: DeliverParts, event: RecordedEvent<DeliveryRequested>, noted: Noted): Promise<void> {
  const { deliveryId, endpointId } = event.data;
  await parts.note({
    ...causedBy(event, 'integration'),
    key: deliveryId,
    requestId: '',
    content: Buffer.from(randomUUID()),
    command: { ...noted, deliveryId, endpointId },
  });
}
