import { describe, test } from 'vitest';
import { given } from '#kit/testing/given.ts';
import { type RequestEvent, request } from './request.ts';

const used: RequestEvent = { type: 'RequestIdUsed', orderId: 'order-1' };

describe('a request id', () => {
  test('is used for an order', () => {
    given(request).when({ type: 'UseRequestId', orderId: 'order-1' }).thenEvent(used);
  });

  test('may be used again for the same order', () => {
    given(request, used).when({ type: 'UseRequestId', orderId: 'order-1' }).thenNothing();
  });

  test('is not used for another order', () => {
    given(request, used)
      .when({ type: 'UseRequestId', orderId: 'order-2' })
      .thenRefused('ALREADY_EXISTS', 'REQUEST_DIFFERS');
  });
});
