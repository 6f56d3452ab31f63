/**
 * Builds the view of the orders from nothing, in a process that does nothing else. Prints how many events it took and
 * how long.
 *
 * node bench/rebuild.ts BROKER DATABASE
 */
import { setTimeout as delay } from 'node:timers/promises';
import { masterKey, platformSettings } from '#kit/platform-settings.ts';
import { Projection } from '#kit/projection.ts';
import { openServiceParts } from '#kit/service-parts.ts';
import { readSettings } from '#kit/settings.ts';
import { createLogger } from '#kit/telemetry/logging.ts';
import { startTelemetry } from '#kit/telemetry/setup.ts';
import { ordersView } from '../services/orders/views/orders/orders-view.ts';

export type RebuildResult = { events: number; documents: number; seconds: number; cpuSeconds: number };

const LOOK_MS = 5;

const [natsUrl = '', mongodbUri = ''] = process.argv.slice(2);
const settings = readSettings(platformSettings, {});
const telemetry = startTelemetry({ serviceName: 'rebuild', ...settings });
const parts = await openServiceParts(
  'orders',
  { natsUrl, mongodbUri, replicas: 1, personalDataKey: masterKey(settings), sampleData: false },
  createLogger('rebuild', 'warn'),
);
const { state } = await parts.broker.manager.streams.info('ORDERS', { subjects_filter: 'orders.event.*.order.*' });
const subjects = Object.keys(state.subjects ?? {});
const view = new Projection(ordersView, parts);
const [began, cpuBefore] = [performance.now(), process.cpuUsage()];
view.start();
while (Math.max(...view.positions().map(({ sequence }) => sequence)) < state.last_seq) await delay(LOOK_MS);
while ((await view.collection.countDocuments({ revision: { $gte: 1 } })) < subjects.length) await delay(LOOK_MS);
const seconds = (performance.now() - began) / 1_000;
const { user, system } = process.cpuUsage(cpuBefore);
await view.stop();
process.stdout.write(
  JSON.stringify({
    events: state.messages,
    documents: subjects.length,
    seconds,
    cpuSeconds: (user + system) / 1_000_000,
  } satisfies RebuildResult),
);
await parts.close();
await telemetry.stop();
