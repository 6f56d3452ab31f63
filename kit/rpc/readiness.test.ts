import { expect, test } from 'vitest';
import type { Health } from '../lifecycle.ts';
import type { Logger } from '../telemetry/logging.ts';
import { readiness } from './readiness.ts';

/** Readiness over this health, what was written into the log, and how often the parts were asked. */
function observed(health: () => Promise<Health>) {
  const lines: object[] = [];
  const log = (fields: object, message: string) => lines.push({ message, ...fields });
  const logger = { debug: log, info: log, warn: log, error: log } satisfies Logger;
  const asked = { times: 0 };
  const ask = readiness(() => {
    asked.times++;
    return health();
  }, logger);
  return { ask, lines, asked };
}

test('however many ask at once, the parts are asked once', async () => {
  const { ask, asked } = observed(async () => ({ ready: true, reasons: [] }));

  await Promise.all(Array.from({ length: 1_000 }, () => ask()));

  expect(asked.times).toBe(1);
});

test('the outside is told which parts are not ready, and the log why', async () => {
  const reasons = [
    'journal ORDERS: connect ECONNREFUSED 10.0.0.7:4222',
    'database: connection 3 to db.internal:27017 closed',
    'view orders: connection 3 to db.internal:27017 closed',
    'view orders: is behind',
    'connect ECONNREFUSED 10.0.0.7:4222',
  ];
  const { ask, lines } = observed(async () => ({ ready: false, reasons }));

  expect(await ask()).toEqual({
    ready: false,
    reasons: ['journal ORDERS: not ready', 'database: not ready', 'view orders: not ready', 'a part: not ready'],
  });
  expect(lines).toEqual([{ message: 'not ready', reasons }]);
});

test('the log has a line for each change, and not for each time that it was asked', async () => {
  const states: Health[] = ['away', 'gone', 'lost', undefined].map((why) =>
    why === undefined ? { ready: true, reasons: [] } : { ready: false, reasons: [`database: ${why}`] },
  );
  const { ask, lines } = observed(async () => states.shift() ?? { ready: true, reasons: [] });

  await expect.poll(ask, { interval: 20 }).toEqual({ ready: true, reasons: [] });

  expect(states).toEqual([]);
  expect(lines).toMatchObject([{ message: 'not ready', reasons: ['database: away'] }, { message: 'ready again' }]);
});

test('a health that can not be told is none', async () => {
  const { ask, lines } = observed(() => Promise.reject(new Error('no such thing')));

  expect(await ask()).toEqual({ ready: false, reasons: ['health: not ready'] });
  expect(lines[0]).toMatchObject({ err: { message: 'no such thing' } });
});
