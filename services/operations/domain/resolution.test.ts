import { test } from 'vitest';
import { given } from '#kit/testing/given.ts';
import { type ResolutionEvent, type ResolveFulfilment, resolution, type Standing } from './resolution.ts';

const orderId = '00000000-0000-4000-8000-000000000001';
const event: ResolutionEvent = { type: 'FulfilmentResolutionRequested', orderId, resolution: 1, note: 'works again' };
const inNeed = (requestsBefore: number): Standing => ({ is: 'in need', requestsBefore });
const resolve = (standing: Standing): ResolveFulfilment => ({ ...event, type: 'ResolveFulfilment', standing });

test('a fulfilment that needs attention is settled, each time that it does', () => {
  given(resolution)
    .when(resolve(inNeed(0)))
    .thenEvent(event);
  given(resolution, event)
    .when(resolve(inNeed(1)))
    .thenEvent(event);
});

test('of two operators at once, the second is told that it was settled', () => {
  given(resolution, event)
    .when(resolve(inNeed(0)))
    .thenRefused('FAILED_PRECONDITION', 'RESOLUTION_ASKED_FOR');
  given(resolution, event)
    .when(resolve({ is: 'settled just now' }))
    .thenRefused('FAILED_PRECONDITION', 'RESOLUTION_ASKED_FOR');
});

test('one that needs no attention, or that there is not, is not settled', () => {
  given(resolution)
    .when(resolve({ is: 'not in need' }))
    .thenRefused('FAILED_PRECONDITION', 'FULFILMENT_NEEDS_NO_ATTENTION');
  given(resolution)
    .when(resolve({ is: 'unknown' }))
    .thenRefused('NOT_FOUND', 'FULFILMENT_UNKNOWN');
});
