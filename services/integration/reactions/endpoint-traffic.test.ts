import { expect, test, vi } from 'vitest';
import { BusyError } from '#kit/errors.ts';
import { EndpointTraffic } from './endpoint-traffic.ts';

const limits = { callsWhenWell: 2, callsWhenUnwell: 1, failuresUntilDown: 3, waitingWhenDown: 2 };

function failing(traffic: EndpointTraffic, times: number): void {
  for (let time = 0; time < times; time++) traffic.failed('a');
}

test('an endpoint has so many places in a partition, and gives them back; others have theirs', () => {
  const traffic = new EndpointTraffic(limits);
  const leave = traffic.enter('a', 'one', 0);
  traffic.enter('a', 'two', 0);

  expect(() => traffic.enter('a', 'three', 0)).toThrow(BusyError);
  expect(() => traffic.enter('b', 'four', 0)).not.toThrow();
  expect(() => traffic.enter('a', 'five', 1)).not.toThrow();
  leave();
  expect(() => traffic.enter('a', 'three', 0)).not.toThrow();
});

test('an endpoint that fails, or is slow, has fewer places until it answers well', () => {
  const traffic = new EndpointTraffic(limits);
  const isFull = () => {
    const leave = traffic.enter('a', 'one', 0);
    try {
      traffic.enter('a', 'two', 0)();
      return false;
    } catch {
      return true;
    } finally {
      leave();
    }
  };
  expect(isFull()).toBe(false);
  traffic.failed('a');
  expect(isFull()).toBe(true);
  traffic.succeeded('a', 1_001);
  expect(isFull()).toBe(true);
  traffic.succeeded('a', 1_000);
  expect(isFull()).toBe(false);
});

test('an endpoint that is down has so many waiting for it, and those go on waiting', () => {
  const traffic = new EndpointTraffic(limits);
  for (const id of ['one', 'two', 'three']) traffic.enter('a', id, Number(id === 'three'))();
  failing(traffic, 2);
  expect(traffic.isOverrun('a', 'four')).toBe(false);
  failing(traffic, 1);

  expect(traffic.isOverrun('a', 'four')).toBe(true);
  expect(traffic.isOverrun('a', 'one')).toBe(false);
  expect(traffic.isOverrun('b', 'four')).toBe(false);
});

test('an endpoint that is down takes others once some are finished, and all of them once it has answered', () => {
  const traffic = new EndpointTraffic(limits);
  for (const id of ['one', 'two']) traffic.enter('a', id, 0)();
  failing(traffic, 3);
  expect(traffic.isOverrun('a', 'three')).toBe(true);
  traffic.finished('a', 'one');
  expect(traffic.isOverrun('a', 'three')).toBe(false);
  traffic.enter('a', 'three', 0)();
  expect(traffic.isOverrun('a', 'four')).toBe(true);
  traffic.succeeded('a', 5);
  expect(traffic.isOverrun('a', 'four')).toBe(false);
});

test('what waits in another process by now is forgotten', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const traffic = new EndpointTraffic(limits);
  for (const id of ['one', 'two']) traffic.enter('a', id, 0)();
  failing(traffic, 3);
  expect(traffic.isOverrun('a', 'three')).toBe(true);
  vi.advanceTimersByTime(21 * 60_000);
  expect(traffic.isOverrun('a', 'three')).toBe(false);
  vi.useRealTimers();
});
