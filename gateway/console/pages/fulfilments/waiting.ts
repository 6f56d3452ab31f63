import { FulfilmentStatus } from '#gen/causeway/operations/v1/operations_service_pb.js';
import type { Tone } from '../../parts/badge.tsx';
import { spanText } from '../../parts/moment.tsx';

type Waiting = { text: string; tone: Tone };

const WAITING: Record<FulfilmentStatus, Waiting> = {
  [FulfilmentStatus.UNSPECIFIED]: { text: 'Not known', tone: 'idle' },
  [FulfilmentStatus.WAITING_FOR_STOCK]: { text: 'Waits for stock', tone: 'busy' },
  [FulfilmentStatus.WAITING_FOR_PAYMENT]: { text: 'Waits for payment', tone: 'busy' },
  [FulfilmentStatus.WAITING_FOR_SHIPMENT]: { text: 'Waits for shipment', tone: 'busy' },
  [FulfilmentStatus.WAITING_FOR_CAPTURE]: { text: 'Waits for capture', tone: 'busy' },
  [FulfilmentStatus.COMPLETED]: { text: 'Completed', tone: 'good' },
  [FulfilmentStatus.UNDOING_SHIPMENT]: { text: 'Undoes the shipment', tone: 'warning' },
  [FulfilmentStatus.UNDOING_PAYMENT]: { text: 'Undoes the payment', tone: 'warning' },
  [FulfilmentStatus.UNDOING_STOCK]: { text: 'Gives the stock back', tone: 'warning' },
  [FulfilmentStatus.FAILED]: { text: 'Undone', tone: 'idle' },
  [FulfilmentStatus.NEEDS_ATTENTION]: { text: '! Needs attention', tone: 'bad' },
};

/** What a fulfilment waits for. */
export function waitingFor(status: FulfilmentStatus): Waiting {
  return WAITING[status] ?? WAITING[FulfilmentStatus.UNSPECIFIED];
}

export function hasEnded(status: FulfilmentStatus): boolean {
  return status === FulfilmentStatus.COMPLETED || status === FulfilmentStatus.FAILED;
}

/** How long it is until a deadline, or since it has passed, to the second: `in 4 min 05 s`, `passed 12 s ago`. */
export function deadlineText(deadlineMs: number, nowMs: number): { text: string; hasPassed: boolean } {
  const left = deadlineMs - nowMs;
  return left >= 0
    ? { text: `in ${countdownText(left)}`, hasPassed: false }
    : { text: `passed ${spanText(Math.max(1_000, -left))} ago`, hasPassed: true };
}

function countdownText(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  if (hours > 0) return `${hours} h ${twoDigits(minutes)} min`;
  return minutes > 0 ? `${minutes} min ${twoDigits(seconds % 60)} s` : `${seconds} s`;
}

function twoDigits(count: number): string {
  return String(count).padStart(2, '0');
}

/** A status as it stands in the page's address. */
export function statusNamed(name: string | null): FulfilmentStatus {
  return fulfilmentStatuses.find((status) => FulfilmentStatus[status] === name) ?? FulfilmentStatus.UNSPECIFIED;
}

/** Each that a fulfilment can have. */
export const fulfilmentStatuses: readonly FulfilmentStatus[] = Object.values(FulfilmentStatus).filter(
  (status): status is FulfilmentStatus => typeof status === 'number' && status !== FulfilmentStatus.UNSPECIFIED,
);
