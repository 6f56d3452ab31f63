import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { HistoryEventSchema } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { orderText, timelineLine } from './order-text.ts';

test('what an event says of itself neither breaks a line nor steers the terminal', () => {
  const event = create(HistoryEventSchema, { type: 'causeway.orders.v1.OrderPlaced', actor: 'anna\n\u001b[2J' });

  expect(timelineLine(event)).toMatch(/OrderPlaced, by anna \?\[2J$/);
  expect(orderText([event]).split('\n')[1]).toMatch(/OrderPlaced {2}anna \?\[2J$/);
});
