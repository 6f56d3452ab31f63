import type { Decider, Refusal } from '#kit/decider.ts';

type Money = { currencyCode: string; units: bigint; nanos: number };

export type ItemEvent =
  | { type: 'ItemListed'; sku: string; name: string; unitPrice: Money; quantity: number }
  | {
      type: 'ItemPriceChanged';
      sku: string;
      name: string;
      unitPrice: Money;
      previousUnitPrice: Money;
      quantity: number;
    }
  | { type: 'ItemRestocked'; sku: string; quantity: number };

/** Adds an item, changes its price or name, or adds to its stock. What is undefined stays as it is. */
export type StockItem = {
  type: 'StockItem';
  sku: string;
  name: string | undefined;
  unitPrice: Money | undefined;
  quantity: number;
};

export type Item = { status: 'Unlisted' } | { status: 'Listed'; name: string; unitPrice: Money };

export const item: Decider<StockItem, Item, ItemEvent> = {
  initialState: { status: 'Unlisted' },

  decide(command, state) {
    return state.status === 'Unlisted' ? list(command) : stock(command, state);
  },

  evolve(state, event) {
    switch (event.type) {
      case 'ItemListed':
      case 'ItemPriceChanged':
        return { status: 'Listed', name: event.name, unitPrice: event.unitPrice };
      case 'ItemRestocked':
        return state;
      default:
        return event satisfies never;
    }
  },
};

function list({ sku, name, unitPrice, quantity }: StockItem): ItemEvent | Refusal {
  if (name === undefined) return missing('name', sku);
  if (unitPrice === undefined) return missing('unit_price', sku);
  return { type: 'ItemListed', sku, name, unitPrice, quantity };
}

function stock(
  { sku, name, unitPrice, quantity }: StockItem,
  current: { name: string; unitPrice: Money },
): ItemEvent | Refusal | undefined {
  const next = { name: name ?? current.name, unitPrice: unitPrice ?? current.unitPrice };
  if (next.name !== current.name || !samePrice(next.unitPrice, current.unitPrice)) {
    return { type: 'ItemPriceChanged', sku, ...next, previousUnitPrice: current.unitPrice, quantity };
  }
  return quantity === 0 ? undefined : { type: 'ItemRestocked', sku, quantity };
}

function missing(field: string, sku: string): Refusal {
  return {
    refused: 'INVALID_ARGUMENT',
    reason: 'ITEM_INCOMPLETE',
    message: `${sku} is a new item and needs it`,
    field,
  };
}

function samePrice(one: Money, other: Money): boolean {
  return one.currencyCode === other.currencyCode && one.units === other.units && one.nanos === other.nanos;
}
