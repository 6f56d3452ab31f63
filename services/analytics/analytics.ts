import { ensureJournals } from '#kit/journal.ts';
import { healthOf, type Service } from '#kit/lifecycle.ts';
import { OwnedWork } from '#kit/owned-work.ts';
import { Projection } from '#kit/projection.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { analyticsDoor } from './doors/analytics-service.ts';
import { itemSalesView } from './views/item-sales-view.ts';
import { revenueView } from './views/revenue-view.ts';

/** Figures need nobody's name or address: what is personal is not even opened. */
const nobodysKeys = { find: () => undefined };

/**
 * Analytics: figures over all orders. It says nothing itself, and so has no journal.
 *
 * | door | does |
 * | --- | --- |
 * | AnalyticsService | queries on the views, by operators |
 *
 * | projection | made from |
 * | --- | --- |
 * | revenue | PAYMENTS: PaymentCaptured, PaymentRefunded |
 * | item-sales | ORDERS: OrderPlaced |
 */
export async function analytics(parts: ServiceParts): Promise<Service> {
  const sealed = { ...parts, personalData: nobodysKeys };
  const revenue = new Projection(revenueView, sealed);
  const itemSales = new Projection(itemSalesView, sealed);
  const work = new OwnedWork([revenue, itemSales], [], parts);

  const health = () => healthOf(parts, undefined, [work]);

  return {
    name: 'analytics',
    doors: [analyticsDoor({ revenue, itemSales, clock: parts.clock })],
    async start() {
      const followed = [revenueView, itemSalesView].flatMap(({ sources }) => sources.map(({ journal }) => journal));
      await ensureJournals(parts.broker, followed);
      await work.start(health);
    },
    stop: () => work.stop(),
    health,
    describe: () => work.describe(),
  };
}
