import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { connectBroker } from '#kit/broker.ts';
import { type Audit, audit } from '../../gateway/audit/audit.ts';
import { stockOf } from '../../gateway/audit/stock.ts';
import { transportTo } from '../../gateway/transport.ts';
import type { Kubectl } from './kubectl.ts';

const ROOT = join(import.meta.dirname, '../..');
const SETTLE_MS = 180_000;
const LOOK_MS = 2_000;
/** Histories that are compared with the journals. */
const HISTORIES = 40;

export type Verdict = {
  orders: number;
  outcomes: Map<string, number>;
  settleSeconds: number;
  /** What must not be. */
  problems: string[];
};

type Where = {
  kubectl: Kubectl;
  /** Address of the gateway's HTTP door. */
  http: string;
  token: string;
  /** File of the operator's user at the broker. */
  operatorKey: string;
};

/** Waits until every order is at its end, and says what does not hold that must. */
export async function verify(where: Where, acknowledged: readonly string[]): Promise<Verdict> {
  const forward = await where.kubectl.forward('service/nats', 4222);
  const nats = `nats://127.0.0.1:${forward.port}`;
  const broker = await connectBroker({ url: nats, credentials: where.operatorKey, name: 'causeway-cli' });
  try {
    const transport = transportTo(where.http, where.token);
    const began = performance.now();
    const isLate = () => performance.now() - began > SETTLE_MS;
    const look = async () => audit(broker, await stockOf(createClient(InventoryService, transport)));
    let audited = await whenThere(look, isLate);
    while (!isSettled(audited) && !isLate()) {
      await delay(LOOK_MS);
      audited = await whenThere(look, isLate);
    }
    const settleSeconds = (performance.now() - began) / 1_000;
    const problems = [
      ...audited.problems.map((problem) => `audit: ${problem}`),
      ...[...audited.waiting].map(([reason, orders]) => `${orders.length} orders wait for ${reason}: ${orders[0]}`),
      ...lost(acknowledged, audited),
      ...(await differentHistories(transport, acknowledged.slice(-HISTORIES), audited)),
      ...(await parked(transport)),
      ...(await command(where, nats, 'audit')),
      ...(await command(where, nats, 'doctor')),
    ];
    return { orders: audited.orders, outcomes: audited.outcomes, settleSeconds, problems };
  } finally {
    await broker.close();
    forward.close();
  }
}

/** What was killed last may not be back yet. */
async function whenThere<Answer>(look: () => Promise<Answer>, isLate: () => boolean): Promise<Answer> {
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (isLate() || ConnectError.from(error).code !== Code.Unavailable) throw error;
      await delay(LOOK_MS);
    }
  }
}

function isSettled({ problemCount, waiting }: Audit): boolean {
  return problemCount === 0 && waiting.size === 0;
}

function lost(acknowledged: readonly string[], { facts }: Audit): string[] {
  return acknowledged
    .filter((orderId) => facts.get(orderId)?.placed !== 1)
    .map((orderId) => `${orderId} was acknowledged, and is there ${facts.get(orderId)?.placed ?? 0} times`);
}

/** The view of each order's history has what the journals have: not less, not more, and each once. */
async function differentHistories(
  transport: ReturnType<typeof transportTo>,
  orderIds: readonly string[],
  { facts }: Audit,
): Promise<string[]> {
  const orders = createClient(OrderService, transport);
  const different: string[] = [];
  for (const orderId of orderIds) {
    const { events } = await orders.getOrderHistory({ orderId });
    const shown = events.map(({ id }) => id).toSorted();
    const stored = [...(facts.get(orderId)?.eventIds ?? [])].toSorted();
    if (shown.join() !== stored.join()) {
      different.push(`the history of ${orderId} shows ${shown.length} events of ${stored.length}`);
    }
  }
  return different;
}

async function parked(transport: ReturnType<typeof transportTo>): Promise<string[]> {
  const { groups } = await createClient(OperationsService, transport).listDeadLetterGroups({});
  return groups.map(({ consumer, reason, keys }) => `${keys} keys are parked by ${consumer}: ${reason}`);
}

/** A command of the operator's tool, which ends with 0 where all is well. */
function command({ http, token, operatorKey }: Where, nats: string, name: 'audit' | 'doctor'): Promise<string[]> {
  const environment = { CAUSEWAY_URL: http, CAUSEWAY_TOKEN: token, NATS_URL: nats, NATS_CREDS: operatorKey };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['gateway/cli/main.ts', name],
      { cwd: ROOT, env: { ...process.env, ...environment } },
      (error, said, complaint) => {
        if (process.env.CLUSTER_TEST_VERBOSE !== undefined) process.stderr.write(`${said}${complaint}`);
        resolve(error === null ? [] : [`causeway ${name} ended with ${error.code}:\n${said}${complaint}`]);
      },
    );
  });
}
