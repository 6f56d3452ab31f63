import { timestampDate } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import { addressOf, fieldTime, filterOf, isoTime, requestOf } from './log-filter.ts';

const address = 'type=OrderPlaced&stream=ORDERS&correlation=checkout+1&from=2026-11-24T10%3A00%3A00.000Z';

test('a search is what its address says', () => {
  expect(addressOf(filterOf(new URLSearchParams(address))).toString()).toBe(address);
});

test('what is left out, or is no time, leaves any', () => {
  const { from, until, ...request } = requestOf(filterOf(new URLSearchParams('key=order-1&from=yesterday')));
  expect(request).toEqual({ streams: [], type: '', aggregate: '', key: 'order-1', correlationId: '' });
  expect([from, until]).toEqual([undefined, undefined]);
});

test('a search asks for its stream and its times', () => {
  const request = requestOf(filterOf(new URLSearchParams(address)));
  expect(request).toMatchObject({ streams: ['ORDERS'], type: 'OrderPlaced', correlationId: 'checkout 1' });
  expect(request.from && timestampDate(request.from as never).toISOString()).toBe('2026-11-24T10:00:00.000Z');
});

test("a moment is entered in the reader's own time, and is the same moment for everybody", () => {
  expect(isoTime(fieldTime('2026-11-24T10:00:00.000Z'))).toBe('2026-11-24T10:00:00.000Z');
  expect([fieldTime(''), isoTime('')]).toEqual(['', '']);
});
