/**
 * Builds the view of the orders from nothing, in a process that does nothing else. Prints how many events it took and
 * how long.
 *
 * node bench/rebuild.ts BROKER DATABASE
 */
import { setTimeout as delay } from 'node:timers/promises';
import { allPartitions } from '#kit/partitions.ts';
import { masterKey, platformSettings } from '#kit/platform-settings.ts';
import { Projection } from '#kit/projection.ts';
import { openServiceParts } from '#kit/service-parts.ts';
import { readSettings } from '#kit/settings.ts';
import { createLogger } from '#kit/telemetry/logging.ts';
import { startTelemetry } from '#kit/telemetry/setup.ts';
import { checkpointIds, collectionOf } from '#kit/view.ts';
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
await parts.personalData.begin();
const { state } = await parts.broker.manager.streams.info('ORDERS', { subjects_filter: 'orders.event.*.order.*' });
const subjects = Object.keys(state.subjects ?? {});
/** Where each partition ends: one that is through says nothing of the others. */
const ends = new Map(
  await Promise.all(
    allPartitions.map(async (partition) => {
      const query = { last_by_subj: `orders.event.${partition}.order.*` };
      const last = await parts.broker.manager.streams.getMessage('ORDERS', query);
      return [partition, last?.seq ?? 0] as const;
    }),
  ),
);
const view = new Projection(ordersView, parts);
const [began, cpuBefore] = [performance.now(), process.cpuUsage()];
await view.own(allPartitions);
while (view.positions().some(({ partition, sequence }) => sequence < (ends.get(partition) ?? 0))) await delay(LOOK_MS);
const seconds = (performance.now() - began) / 1_000;
const { user, system } = process.cpuUsage(cpuBefore);
await view.stop();
// After the clock has stopped: to count is not part of it.
const documents =
  (await parts.db.collection(collectionOf(ordersView)).estimatedDocumentCount()) - checkpointIds().length;
if (documents !== subjects.length) throw new Error(`${subjects.length} orders made ${documents} documents`);
process.stdout.write(
  JSON.stringify({
    events: state.messages,
    documents,
    seconds,
    cpuSeconds: (user + system) / 1_000_000,
  } satisfies RebuildResult),
);
await parts.close();
await telemetry.stop();
