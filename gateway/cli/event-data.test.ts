import { expect, test } from 'vitest';
import { isKnownType } from './event-data.ts';

test.each([
  ['OrderPlaced', true],
  ['causeway.orders.v1.OrderPlaced', true],
  ['PartitionsAssigned', true],
  ['OrderPlacd', false],
  ['orders.v1.OrderPlaced', false],
  // A message in their contracts, and no event.
  ['OrderLine', false],
])('%s is the name of an event: %s', (name, isKnown) => {
  expect(isKnownType(name)).toBe(isKnown);
});
