import { beforeAll, expect, test } from 'vitest';
import { Desk } from './testing/desk.ts';

let desk: Desk;

beforeAll(async () => {
  desk = await Desk.open();
  await desk.start();
});

test('a payment that is asked for is authorised, and taken when that is asked for', async () => {
  const orderId = await desk.request();
  await expect.poll(() => desk.story(orderId)).toBe('Authorized');
  await desk.requestCapture(orderId);
  await expect.poll(() => desk.story(orderId)).toBe('Authorized Captured');

  expect(await desk.atSandbox(orderId)).toMatchObject({ status: 'captured', charges: 1 });
});
