import { describe, test } from 'vitest';
import { given } from '#kit/testing/given.ts';
import { type RequestEvent, request } from './request.ts';

const used: RequestEvent = { type: 'RequestIdUsed', sku: 'coffee-beans' };

describe('a request id', () => {
  test('is used for an item', () => {
    given(request).when({ type: 'UseRequestId', sku: 'coffee-beans' }).thenEvent(used);
  });

  test('may be used again for the same item', () => {
    given(request, used).when({ type: 'UseRequestId', sku: 'coffee-beans' }).thenNothing();
  });

  test('is not used for another item', () => {
    given(request, used)
      .when({ type: 'UseRequestId', sku: 'grinder' })
      .thenRefused('ALREADY_EXISTS', 'REQUEST_DIFFERS');
  });
});
