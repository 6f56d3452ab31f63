import { expect, test } from 'vitest';
import { daysAsked } from './days.ts';

const now = new Date('2026-11-24T23:30:00Z');

test.each([
  ['', '', '2026-10-26', '2026-11-24'],
  ['2026-11-01', '', '2026-11-01', '2026-11-24'],
  ['', '2024-03-01', '2024-02-01', '2024-03-01'],
  ['2026-11-24', '2026-11-24', '2026-11-24', '2026-11-24'],
  ['2025-11-24', '2026-11-24', '2025-11-24', '2026-11-24'],
])('from %j to %j are the days from %s to %s', (from, to, first, last) => {
  expect(daysAsked({ from, to }, now, 366)).toEqual({ from: first, to: last });
});

test.each([
  ['2026-02-30', '', 'from'],
  ['', '2026-13-01', 'to'],
  ['2026-11-02', '2026-11-01', 'from'],
  ['2026-11-25', '', 'from'],
  ['2025-11-23', '2026-11-24', 'from'],
])('from %j to %j are no days that can be asked for', (from, to, field) => {
  expect(() => daysAsked({ from, to }, now, 366)).toThrow(
    expect.objectContaining({
      code: 'INVALID_ARGUMENT',
      details: { violations: [expect.objectContaining({ field })] },
    }),
  );
});
