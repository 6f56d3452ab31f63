import { expect, test } from 'vitest';
import { becomesReady } from './lifecycle.ts';

test('what is not ready at once is waited for', async () => {
  let asked = 0;
  const health = async () => (++asked < 3 ? { ready: false, reasons: ['not yet'] } : { ready: true, reasons: [] });

  expect(await becomesReady(health)).toEqual({ ready: true, reasons: [] });
});

test('what does not become ready is not waited for without end, and it is said why', async () => {
  const health = async () => ({ ready: false, reasons: ['the database is away'] });

  expect(await becomesReady(health, 50)).toEqual({ ready: false, reasons: ['the database is away'] });
});
