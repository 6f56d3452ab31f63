import type { JsMsg } from '@nats-io/jetstream';

/** Each write to a socket costs as much as a message's handling: what is finished within this time goes out together. */
const GATHER_MS = 4;

const finished: JsMsg[] = [];

/** Acknowledges a message, soon: together with those of other consumers that finish at about the same time. */
export function acknowledgeSoon(message: JsMsg): void {
  if (finished.push(message) === 1) setTimeout(acknowledgeNow, GATHER_MS);
}

/** For those who are about to leave. */
export function acknowledgeNow(): void {
  for (const message of finished.splice(0)) message.ack();
}
