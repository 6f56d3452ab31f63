import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { FollowRequestSchema } from '#gen/causeway/testing/v1/account_pb.js';
import { given } from '#kit/testing/given.ts';
import { requestIdAggregate } from './request-id.ts';

const aggregate = requestIdAggregate({
  field: 'accountId',
  event: FollowRequestSchema,
  state: FollowRequestSchema,
  told: (accountId) => `account ${accountId}`,
});
const used = { type: 'RequestIdUsed', accountId: 'a-1' } as const;

describe('a request id', () => {
  test('is used for one thing, in the field that its messages have', () => {
    given(aggregate.decider).when({ type: 'UseRequestId', about: 'a-1' }).thenEvent(used);
  });

  test('may be used again for the same', () => {
    given(aggregate.decider, used).when({ type: 'UseRequestId', about: 'a-1' }).thenNothing();
  });

  test('is not used for another, and the refusal says what it was used for', () => {
    const then = given(aggregate.decider, used).when({ type: 'UseRequestId', about: 'a-2' });
    then.thenRefused('ALREADY_EXISTS', 'REQUEST_DIFFERS');
    expect(aggregate.decider.decide({ type: 'UseRequestId', about: 'a-2' }, { status: 'Used', about: 'a-1' })).toEqual(
      expect.objectContaining({ message: 'the request was made before, for account a-1' }),
    );
  });
});

test.each([{ status: 'Unused' as const }, { status: 'Used' as const, about: 'a-1' }])(
  'its stored state is read as it was written: $status',
  (state) => {
    const { type, encode, decode } = aggregate.state;
    const stored = toBinary(type, create(type, encode(state)));

    expect(decode(fromBinary(type, stored))).toEqual(state);
  },
);
