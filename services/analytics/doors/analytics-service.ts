import { create } from '@bufbuild/protobuf';
import {
  AnalyticsService,
  GetDailyRevenueResponseSchema,
  ListTopItemsResponseSchema,
} from '#gen/causeway/analytics/v1/analytics_service_pb.js';
import type { Projection } from '#kit/projection.ts';
import { type Door, door } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';
import { daysAsked } from '../views/days.ts';
import { type ItemSalesDocument, topItems } from '../views/item-sales-view.ts';
import { dailyRevenue, money, type RevenueDocument } from '../views/revenue-view.ts';

const MAX_REVENUE_DAYS = 366;
/** A day may have thousands of items, where it has a few currencies. */
const MAX_ITEM_DAYS = 31;
const DEFAULT_ITEMS = 10;

export type AnalyticsDoorParts = {
  revenue: Projection<RevenueDocument>;
  itemSales: Projection<ItemSalesDocument>;
  clock: () => Date;
};

/** AnalyticsService: figures, for operators. */
export function analyticsDoor({ revenue, itemSales, clock }: AnalyticsDoorParts): Door {
  return door(AnalyticsService, {
    async getDailyRevenue(request, call) {
      requireRole(call, 'operator');
      const days = daysAsked(request, clock(), MAX_REVENUE_DAYS);
      const rows = await dailyRevenue(await revenue.reached(request.atLeast, call.signal), days);
      return create(GetDailyRevenueResponseSchema, {
        days: rows.map(({ day, currencyCode, captured, refunded, orders }) => ({
          day,
          revenue: money(currencyCode, captured - refunded),
          captured: money(currencyCode, captured),
          refunded: money(currencyCode, refunded),
          orders: BigInt(orders),
        })),
      });
    },

    async listTopItems(request, call) {
      requireRole(call, 'operator');
      const days = daysAsked(request, clock(), MAX_ITEM_DAYS);
      const reader = await itemSales.reached(request.atLeast, call.signal);
      const items = await topItems(reader, days, request.limit === 0 ? DEFAULT_ITEMS : request.limit);
      return create(ListTopItemsResponseSchema, {
        items: items.map(({ sku, name, quantity, orders }) => ({
          sku,
          name,
          quantity: BigInt(quantity),
          orders: BigInt(orders),
        })),
      });
    },
  });
}
