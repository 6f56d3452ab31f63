import { test } from 'vitest';
import { given } from '#kit/testing/given.ts';
import { type ErasureCommand, type ErasureEvent, erasure } from './erasure.ts';

const asking = { customerId: 'alice', note: 'asked for it', keyIds: ['YWxpY2U.1'] };
const request: ErasureCommand = { type: 'RequestErasure', ...asking };
const requested: ErasureEvent = { type: 'CustomerErasureRequested', ...asking };
const told: ErasureEvent = { type: 'PersonalDataErased', owner: 'alice', keyIds: ['YWxpY2U.1'] };

test('an erasure is on record before a key is destroyed, and told when all are', () => {
  given(erasure).when(request).thenEvent(requested);
  given(erasure, requested)
    .when({ ...told, type: 'TellErased' })
    .thenEvent(told);
});

test('who was erased can be erased again: a customer comes back, and so do backups', () => {
  given(erasure, requested, told).when(request).thenEvent(requested);
});
