import { expect, test } from 'vitest';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import type { Logger } from '#kit/telemetry/logging.ts';
import { grpcAs, ordersOf } from '../clients.ts';
import { bearer, testPlatform } from '../platform.ts';
import { type Finding, fuzz } from './fuzz.ts';
import { caseToJson, keptCases } from './fuzz-case.ts';
import { caseOf } from './generate.ts';
import { CUSTOMER, KNOWN_ORDER } from './messages.ts';

const CASES = Number(process.env.FUZZ_CASES ?? 1_500);
/** The same ones each time: what others find is found by `npm run fuzz`, and kept. */
const SEED = Number(process.env.FUZZ_SEED ?? 1);

const errors: unknown[] = [];
const listening: Logger = {
  debug() {},
  info() {},
  warn() {},
  error: (fields, message) => errors.push({ message, ...fields }),
};
const platform = await testPlatform({ logger: listening, environment: { CARRIER_DELIVERS_AFTER: '1s' } });
const orders = ordersOf(await grpcAs(platform, CUSTOMER));

const said = ({ why, fuzzCase, answer }: Finding) => `${why}\n${caseToJson(fuzzCase)}\n${answer.said.slice(0, 2_000)}`;

test('requests that nobody means are refused in order, and orders go on', async () => {
  process.stderr.write(`FUZZ_SEED=${SEED}\n`);
  await orders.place({ orderId: KNOWN_ORDER });
  const tokens = {
    '{customer}': (await bearer(CUSTOMER)).slice('Bearer '.length),
    '{operator}': (await bearer('olga', 'operator')).slice('Bearer '.length),
  };
  const cases = [...(await keptCases()), ...Array.from({ length: CASES }, (_, index) => caseOf(SEED, index))];

  const { findings } = await fuzz(platform, cases, { atOnce: 32, tokens, isAlive: () => true });

  expect(findings.map(said)).toEqual([]);
  expect(errors).toEqual([]);
  const { orderId } = await orders.place();
  await expect.poll(async () => (await orders.get(orderId))?.status).toBe(OrderStatus.COMPLETED);
});
