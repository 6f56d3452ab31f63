/** What a customer does in the demo, and what has to become of it. */
export type Scenario = {
  title: string;
  orders: number;
  sku: string;
  paymentMethod: string;
  /** The customer changes its mind once the order is placed. */
  cancels?: boolean;
  /** How many of the orders complete; the others are cancelled. */
  completed: number;
  /** Why the others are cancelled, as the fulfilment says. */
  reason?: string;
};

const shares: (Omit<Scenario, 'orders' | 'completed'> & { share: number; completes: 'all' | 'none' | 'one' })[] = [
  { title: 'shipped', share: 0.52, sku: 'coffee-beans', paymentMethod: 'pm_ok', completes: 'all' },
  {
    title: 'shipped, the payment at the third try',
    share: 0.1,
    sku: 'espresso-cup',
    paymentMethod: 'pm_flaky',
    completes: 'all',
  },
  {
    title: 'out of stock',
    share: 0.08,
    sku: 'sold-out',
    paymentMethod: 'pm_ok',
    completes: 'none',
    reason: 'OUT_OF_STOCK',
  },
  {
    title: 'the last one: one gets it',
    share: 0.04,
    sku: 'last-one',
    paymentMethod: 'pm_ok',
    completes: 'one',
    reason: 'OUT_OF_STOCK',
  },
  {
    title: 'card declined',
    share: 0.06,
    sku: 'grinder',
    paymentMethod: 'pm_declined',
    completes: 'none',
    reason: 'PAYMENT_DECLINED',
  },
  {
    title: 'insufficient funds',
    share: 0.04,
    sku: 'grinder',
    paymentMethod: 'pm_insufficient_funds',
    completes: 'none',
    reason: 'PAYMENT_DECLINED',
  },
  {
    title: 'payment never answered',
    share: 0.05,
    sku: 'coffee-beans',
    paymentMethod: 'pm_never',
    completes: 'none',
    reason: 'PAYMENT_DEADLINE',
  },
  {
    title: 'payment answered too late',
    share: 0.03,
    sku: 'coffee-beans',
    paymentMethod: 'pm_slow',
    completes: 'none',
    reason: 'PAYMENT_DEADLINE',
  },
  {
    title: 'cancelled by the customer',
    share: 0.08,
    sku: 'espresso-cup',
    paymentMethod: 'pm_never',
    cancels: true,
    completes: 'none',
    reason: 'ORDER_CANCELLED',
  },
];

/** Without what can be had once only, as long as nobody buys more of it: the same again, however often. */
export function repeatable(plan: readonly Scenario[]): Scenario[] {
  return plan.filter(({ orders, completed }) => completed === 0 || completed === orders);
}

/** The scenarios for about so many orders, at least one of each. */
export function planOf(orders: number): Scenario[] {
  return shares.map(({ share, completes, ...scenario }) => {
    const count = Math.max(completes === 'one' ? 2 : 1, Math.round(share * orders));
    return { ...scenario, orders: count, completed: completes === 'all' ? count : completes === 'one' ? 1 : 0 };
  });
}
