/** `npm run demo`: a platform of its own, orders of every outcome, and what became of them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Broker, connectBroker } from '#kit/broker.ts';
import { startMongodb } from '#kit/local/mongodb.ts';
import { startNats } from '#kit/local/nats.ts';
import { runProcess, StartError, type Started } from '#kit/process.ts';
import { DEVELOPMENT_KEY, signToken } from '#kit/rpc/identity.ts';
import { readSettings } from '#kit/settings.ts';
import { createLogger } from '#kit/telemetry/logging.ts';
import { type Audit, audit } from '../audit/audit.ts';
import { auditWords } from '../audit/audit-words.ts';
import { allSettings, startPlatform } from '../platform.ts';
import { transportTo } from '../transport.ts';
import { Customers, type Placed } from './customers.ts';
import { Flow } from './flow.ts';
import { planOf } from './plan.ts';
import { endIn, outcomesOf, outcomesTable, timeline } from './report.ts';
import { showProgress } from './screen.ts';

const HELP = `Starts a platform of its own, places orders of every outcome, shows the events as they flow, and then what became of
each. Ends with 0 only where all is as expected.

npm run demo                    226 orders; about half a minute
npm run demo -- --orders 1000   about so many
npm run demo -- --help          this text

Where stdout is no terminal, it shows a line a second instead of moving pictures. LOG_LEVEL=warn shows what is logged.
`;

/** Short, so that nobody waits for a quarter of an hour for a payment that never comes; shorter than pm_slow takes. */
const PAYMENT_DEADLINE = '10s';
const SETTLE_MS = 60_000;

await runProcess(async (started) => {
  const { orders, help } = options();
  if (help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const { customers, broker } = await ownPlatform(started);
  const plan = planOf(orders);
  const placed: Placed[] = [];
  const flow = new Flow(broker);
  const all = plan.reduce((sum, scenario) => sum + scenario.orders, 0);
  const progress = { orders: all, placed: 0, flow };
  const stopShowing = showProgress(progress, process.stdout);
  await customers.placeAll(plan, (order) => {
    placed.push(order);
    progress.placed = placed.length;
  });
  const audited = await settled(broker, customers, () => flow.ended === all);
  stopShowing();
  const outcomes = outcomesOf(plan, placed, (orderId) => endIn(audited, orderId));
  const longest = placed.find(({ scenario }) => scenario.completed === scenario.orders);
  const parts = [
    outcomesTable(outcomes),
    auditWords(audited),
    ...(longest === undefined ? [] : [`order ${longest.orderId}:\n${timeline(await customers.history(longest))}`]),
  ];
  process.stdout.write(`\n${parts.join('\n\n')}\n`);
  const isGood =
    outcomes.every(({ isAsExpected }) => isAsExpected) && audited.problemCount === 0 && audited.waiting.size === 0;
  process.stdout.write(isGood ? '\nall is as expected\n' : '\nnot all is as expected\n');
  await started.stop();
  process.exit(isGood ? 0 : 1);
});

function options(): { orders: number; help: boolean } {
  try {
    const { values } = parseArgs({
      options: { orders: { type: 'string', default: '225' }, help: { type: 'boolean', short: 'h', default: false } },
    });
    if (!/^[1-9]\d{0,5}$/.test(values.orders)) throw new Error('--orders must be a number from 1 to 999999');
    return { orders: Number(values.orders), help: values.help };
  } catch (error) {
    throw new StartError(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
  }
}

/** The whole platform on embedded servers and free ports, on data that is thrown away afterwards. */
async function ownPlatform(started: Started): Promise<{ customers: Customers; broker: Broker }> {
  process.stdout.write('starting a platform of its own\n');
  const directory = await mkdtemp(join(tmpdir(), 'causeway-demo-'));
  started.add('the data', () => rm(directory, { recursive: true, force: true }));
  const [nats, mongodb] = await Promise.all([
    startNats({ directory: join(directory, 'nats') }),
    startMongodb({ directory: join(directory, 'mongodb') }),
  ]).catch((error) => {
    throw new StartError(error instanceof Error ? error.message : String(error));
  });
  started.add('the servers', () => Promise.all([nats.stop(), mongodb.stop()]));
  const settings = readSettings(allSettings, {
    GATEWAY_GRPC_PORT: '0',
    GATEWAY_HTTP_PORT: '0',
    RATE_LIMIT: '0',
    DEADLINE_PAYMENT: PAYMENT_DEADLINE,
    LOG_LEVEL: process.env.LOG_LEVEL ?? 'silent',
  });
  const servers = { natsUrl: nats.url, mongodbUri: mongodb.url };
  const ports = await startPlatform(settings, servers, { serveMetrics: async () => {} }, started, createLogger);
  const broker = await connectBroker({ url: nats.url, name: 'demo' });
  started.add('the connection', broker.close);
  const token = await signToken({ subject: 'demo', role: 'operator' }, DEVELOPMENT_KEY, '1h');
  return { broker, customers: new Customers(transportTo(`http://127.0.0.1:${ports.httpPort}`, token)) };
}

/** Waits until every order is at its end and everybody has been told, or it takes too long; then audits. */
async function settled(broker: Broker, customers: Customers, isEnded: () => boolean): Promise<Audit> {
  const latest = performance.now() + SETTLE_MS;
  while (!isEnded() && performance.now() < latest) await delay(100);
  let audited = await audit(broker, await customers.stock());
  while ((audited.problemCount > 0 || audited.waiting.size > 0) && performance.now() < latest) {
    await delay(500);
    audited = await audit(broker, await customers.stock());
  }
  return audited;
}
