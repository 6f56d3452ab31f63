import { Code, ConnectError, createRouterTransport } from '@connectrpc/connect';
import { expect, test } from 'vitest';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { Customers, type Placed } from './customers.ts';
import { planOf, repeatable } from './plan.ts';

test('who finds a part of the platform away asks again, with the same id', async () => {
  const asked: string[] = [];
  const transport = createRouterTransport(({ service }) => {
    service(OrderService, {
      placeOrder({ requestId }) {
        asked.push(requestId);
        if (asked.length === 1) throw new ConnectError('orders is away', Code.Unavailable);
        return { orderId: 'order-1' };
      },
    });
  });
  const [first] = repeatable(planOf(1));
  if (first === undefined) throw new Error('a plan has a scenario');
  const placed: Placed[] = [];

  await new Customers(transport).placeAll([{ ...first, orders: 1, cancels: false }], (each) => placed.push(each));

  expect(placed.map(({ orderId }) => orderId)).toEqual(['order-1']);
  expect(asked).toHaveLength(2);
  expect(new Set(asked).size).toBe(1);
  expect(asked[0]).not.toBe('');
});
