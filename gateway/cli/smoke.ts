import { setTimeout as delay } from 'node:timers/promises';
import { anyIs, anyUnpack } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { Command, InvalidArgumentError } from 'commander';
import { FulfilmentFailedSchema } from '#gen/causeway/fulfilment/v1/events_pb.js';
import { OrderCancelledSchema, OrderCompletedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import type { HistoryEvent } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { Customers, type Placed } from '../demo/customers.ts';
import { planOf, repeatable } from '../demo/plan.ts';
import { type Outcome, outcomesOf, outcomesTable } from '../demo/report.ts';
import { type CallingOptions, calling, countFrom, throughGateway } from './gateway-client.ts';
import { print, tell } from './printing.ts';

type SmokeOptions = CallingOptions & { orders: number; within: number };

const WHAT_IT_DOES = `Places orders of every outcome: shipped, paid at the third try, out of stock, declined, without an answer
in time, cancelled. Waits until each is at its end, and shows what became of them; the status is 1 where anything is not as
expected. They are orders like all others, so it is for a platform that plays: with sample items, the sandbox provider, and a
DEADLINE_PAYMENT that is shorter than 20s and than --within.`;

/** Each round asks for every order that is not at its end, so many at a time. */
const ASKED_AT_ONCE = 8;
const ASK_AGAIN_MS = 1_000;
const SECONDS = 1_000;
/** What is told of an order for which nothing can be asked just now: it is asked for again. */
const COME_AGAIN = [Code.Unavailable, Code.ResourceExhausted];

/** `smoke`: whether orders of every outcome end as they have to. */
export function smokeCommand(): Command {
  const command = new Command('smoke')
    .description('place orders of every outcome, and see each of them to its end')
    .option('--orders <orders>', 'about so many', countFrom, 30)
    .option('--within <seconds>', 'how long to wait for their ends', secondsFrom, 120)
    .addHelpText('after', `\n${WHAT_IT_DOES}`)
    .action((options: SmokeOptions) => smoke(options));
  return calling(command, '', '--orders 200 --url http://127.0.0.1:8080');
}

async function smoke({ url, token, json, orders, within }: SmokeOptions): Promise<void> {
  const plan = repeatable(planOf(orders));
  const outcomes = await throughGateway({ url, token }, async (transport) => {
    const customers = new Customers(transport);
    const placed: Placed[] = [];
    await customers.placeAll(plan, (order) => placed.push(order));
    tell(`${placed.length} orders are placed; each is followed to its end`);
    const ends = await endsOf(placed, customers, performance.now() + within * SECONDS);
    return outcomesOf(plan, placed, (orderId) => ends.get(orderId) ?? 'not at its end');
  });
  const isGood = outcomes.every(({ isAsExpected }) => isAsExpected);
  print(json ? JSON.stringify(outcomes satisfies Outcome[], undefined, 2) : outcomesTable(outcomes));
  if (outcomes.some(({ isAsExpected, expected }) => !isAsExpected && expected.includes('PAYMENT_DEADLINE'))) {
    tell(`is the platform's DEADLINE_PAYMENT shorter than 20s, and than the ${within}s of --within? It has to be`);
  }
  tell(isGood ? 'all is as expected' : 'not all is as expected');
  if (!isGood) process.exitCode = 1;
}

/** How each order ended; those that have not by then are not in it. */
async function endsOf(placed: readonly Placed[], customers: Customers, latest: number): Promise<Map<string, string>> {
  const ends = new Map<string, string>();
  for (;;) {
    const open = placed.filter(({ orderId }) => !ends.has(orderId));
    const waiting = [...open];
    const ask = async () => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const end = await endOf(next, customers);
        if (end !== undefined) ends.set(next.orderId, end);
      }
    };
    await Promise.all(Array.from({ length: ASKED_AT_ONCE }, ask));
    if (ends.size === placed.length || performance.now() > latest) return ends;
    await delay(ASK_AGAIN_MS);
  }
}

async function endOf(order: Placed, customers: Customers): Promise<string | undefined> {
  try {
    return endBy(await customers.history(order));
  } catch (error) {
    if (error instanceof ConnectError && COME_AGAIN.includes(error.code)) return undefined;
    throw error;
  }
}

/** A customer's cancel ends nothing yet: what was done for the order has to be undone. */
function endBy(history: readonly HistoryEvent[]): string | undefined {
  const said = history.flatMap(({ data }) => data ?? []);
  if (said.some((data) => anyIs(data, OrderCompletedSchema))) return 'completed';
  const isCancelled = said.some((data) => anyIs(data, OrderCancelledSchema));
  const failed = said.find((data) => anyIs(data, FulfilmentFailedSchema));
  if (!isCancelled || failed === undefined) return undefined;
  return `cancelled ${anyUnpack(failed, FulfilmentFailedSchema)?.reason}`;
}

function secondsFrom(given: string): number {
  if (!/^[1-9]\d{0,4}$/.test(given)) throw new InvalidArgumentError('It is a number of seconds from 1 to 99999.');
  return Number(given);
}
