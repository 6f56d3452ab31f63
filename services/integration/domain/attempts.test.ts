import { describe, test } from 'vitest';
import { given } from '#kit/testing/given.ts';
import { type AttemptEvent, attempts } from './attempts.ts';

const ids = { deliveryId: 'delivery-1', endpointId: 'endpoint-1' };
const succeeded: AttemptEvent = { type: 'DeliverySucceeded', ...ids, httpStatus: 204, durationMs: 5 };
const failure = { type: 'DeliveryAttemptFailed', ...ids, httpStatus: 503, error: 'no', durationMs: 5 } as const;
const failed: AttemptEvent = { ...failure, givenUp: false };
const givenUp: AttemptEvent = { ...failure, givenUp: true };
const dropped: AttemptEvent = { type: 'DeliveryDropped', ...ids, reason: 'the endpoint is disabled' };

describe('a delivery', () => {
  test.each([succeeded, failed, givenUp, dropped])('has each attempt noted: $type', (event) => {
    given(attempts).when(event).thenEvent(event);
    given(attempts, failed, failed).when(event).thenEvent(event);
  });

  test.each([succeeded, failed, dropped])('that was given up can be tried again: $type', (event) => {
    given(attempts, givenUp).when(event).thenEvent(event);
  });

  test.each([succeeded, failed, givenUp, dropped])('that was made stays made, whatever $type says', (event) => {
    given(attempts, failed, succeeded).when(event).thenNothing();
  });

  test.each([failed, givenUp, dropped])('that was dropped stays dropped, whatever $type says', (event) => {
    given(attempts, dropped).when(event).thenNothing();
  });

  test('that was dropped by one owner while another one made it was made', () => {
    given(attempts, dropped).when(succeeded).thenEvent(succeeded);
    given(attempts, dropped, succeeded).when(dropped).thenNothing();
  });
});
