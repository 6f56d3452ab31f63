import { expect, test } from 'vitest';
import { FulfilmentStatus } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { deadlineText, fulfilmentStatuses, statusNamed, waitingFor } from './waiting.ts';

const NOW = 1_800_000_000_000;

test('a deadline ahead counts down to the second; far ahead, to the minute', () => {
  expect(deadlineText(NOW + 9_900, NOW)).toEqual({ text: 'in 9 s', hasPassed: false });
  expect(deadlineText(NOW + 245_000, NOW)).toEqual({ text: 'in 4 min 05 s', hasPassed: false });
  expect(deadlineText(NOW + 86_340_000, NOW)).toEqual({ text: 'in 23 h 59 min', hasPassed: false });
  expect(deadlineText(NOW, NOW)).toEqual({ text: 'in 0 s', hasPassed: false });
});

test('a deadline that has passed says so, also when it did a moment ago', () => {
  expect(deadlineText(NOW - 1, NOW)).toEqual({ text: 'passed 1 s ago', hasPassed: true });
  expect(deadlineText(NOW - 180_000, NOW)).toEqual({ text: 'passed 3 min ago', hasPassed: true });
});

test('each status has words of its own, and is found by its name in the address', () => {
  expect(fulfilmentStatuses).toHaveLength(10);
  expect(new Set(fulfilmentStatuses.map((status) => waitingFor(status).text)).size).toBe(fulfilmentStatuses.length);
  for (const status of fulfilmentStatuses) expect(statusNamed(FulfilmentStatus[status] ?? '')).toBe(status);
});

test('what is no status in the address filters nothing', () => {
  for (const name of [null, '', 'UNSPECIFIED', '3', 'nonsense']) {
    expect(statusNamed(name)).toBe(FulfilmentStatus.UNSPECIFIED);
  }
});

test('a status that this page does not know yet is shown as such', () => {
  expect(waitingFor(99 as FulfilmentStatus).text).toBe('Not known');
});
