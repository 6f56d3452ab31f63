import type { OrderFacts, Pieces } from './order-facts.ts';

/** Since when everything is there of what is kept for a while only. */
export type KeptSince = { emails: Date; published: Date };

/** What is said once of an order, if ever, by others than itself. */
const ONCE = [
  'causeway.inventory.v1.StockReserved',
  'causeway.inventory.v1.StockRejected',
  'causeway.inventory.v1.StockReleased',
  'causeway.inventory.v1.StockCommitted',
  'causeway.shipping.v1.ShipmentDispatched',
];

/** What is wrong with an order, in words; nothing where all is as it must be. An order that is not at its end yet may wait. */
export function problemsOf(facts: OrderFacts, keptSince: KeptSince): string[] {
  return [...once(facts), ...ended(facts), ...stock(facts), ...money(facts), ...told(facts, keptSince)];
}

/** What an order waits for that is neither completed nor cancelled; undefined: for nothing. */
export function waitsFor(facts: OrderFacts): string | undefined {
  if (facts.completed + facts.cancelled > 0 && isSettled(facts)) return undefined;
  switch (facts.fulfilment) {
    case '':
      return 'its fulfilment to begin';
    case 'StockRequested':
      return 'stock to be reserved';
    case 'PaymentRequested':
      return facts.authorised > 0n ? 'the order to be confirmed' : 'the payment to be authorised';
    case 'ShipmentRequested':
      return 'the shipment to be dispatched';
    case 'CaptureRequested':
      return 'the payment to be captured';
    case 'ShipmentCancelRequested':
      return 'the shipment to be cancelled';
    case 'PaymentVoidRequested':
      return 'the payment to be voided';
    case 'StockReleaseRequested':
      return 'stock to be released';
    case 'FulfilmentNeedsAttention':
      return `an operator: ${facts.fulfilmentReason}`;
    default:
      return 'the order to hear of the end of its fulfilment';
  }
}

/** Whether its fulfilment has come to an end. */
function isSettled({ fulfilment }: OrderFacts): boolean {
  return fulfilment === 'FulfilmentCompleted' || fulfilment === 'FulfilmentFailed';
}

function once(facts: OrderFacts): string[] {
  return [
    ...(['placed', 'confirmed', 'shipped', 'completed', 'cancelled'] as const)
      .filter((what) => facts[what] > 1)
      .map((what) => `is ${what} ${facts[what]} times`),
    ...ONCE.filter((type) => (facts.said.get(type) ?? 0) > 1).map(
      (type) => `has ${type.split('.').at(-1)} ${facts.said.get(type)} times`,
    ),
  ];
}

function ended(facts: OrderFacts): string[] {
  const { placed, confirmed, shipped, completed, cancelled, captured, committed, dispatched, fulfilment } = facts;
  return problems([
    [placed === 0, 'has events, and was never placed'],
    [completed > 0 && cancelled > 0, 'is completed and cancelled'],
    [completed > 0 && (confirmed === 0 || shipped === 0), 'is completed, and was not confirmed or not shipped'],
    [completed > 0 && fulfilment !== 'FulfilmentCompleted', `is completed, and its fulfilment ends in ${fulfilment}`],
    [completed > 0 && !dispatched, 'is completed, and nothing was dispatched'],
    [
      completed > 0 && captured === 0n && facts.total > 0n && !facts.isSettledOutside,
      'is completed, and nothing was captured',
    ],
    [cancelled > 0 && (dispatched || shipped > 0), 'is cancelled, and was dispatched'],
    [cancelled > 0 && captured > 0n, 'is cancelled, and its payment was captured'],
    [cancelled > 0 && committed !== undefined, 'is cancelled, and its goods left the stock'],
    [fulfilment === 'FulfilmentFailed' && cancelled === 0, 'is not cancelled, and its fulfilment failed'],
    [fulfilment === 'FulfilmentCompleted' && completed === 0, 'is not completed, and its fulfilment is'],
  ]);
}

function stock({ reserved, rejected, released, committed, fulfilment }: OrderFacts): string[] {
  const isHeld = reserved !== undefined && released === undefined && committed === undefined;
  return problems([
    [rejected && reserved !== undefined, 'has stock that was rejected and reserved'],
    [released !== undefined && committed !== undefined, 'has stock that was released and taken'],
    [committed !== undefined && !isSame(committed, reserved), 'took other pieces than were reserved'],
    [(released?.size ?? 0) > 0 && !isSame(released, reserved), 'released other pieces than were reserved'],
    [fulfilment === 'FulfilmentFailed' && isHeld, 'failed, and still holds stock'],
    [fulfilment === 'FulfilmentCompleted' && committed === undefined, 'is completed, and its goods are still in stock'],
  ]);
}

function money(facts: OrderFacts): string[] {
  const { total, authorised, captured, voided, refunded } = facts;
  return problems([
    [authorised > total, 'has more authorised than it costs'],
    [captured + voided > authorised, 'has more captured and voided than authorised'],
    [
      isSettled(facts) && !facts.isSettledOutside && authorised !== captured + voided,
      'has authorised what is neither captured nor voided',
    ],
    [refunded > captured, 'has more refunded than captured'],
  ]);
}

function told(facts: OrderFacts, keptSince: KeptSince): string[] {
  const { emails, completed, cancelled, publishedCompleted, publishedCancelled, at, isErased } = facts;
  const twice = emails.find((email, index) => emails.indexOf(email) !== index);
  const kinds = emails.map((email) => email.split(' ')[0]);
  const lacks = (kind: string, since: Date | undefined) =>
    !isErased && !kinds.includes(kind) && isAfter(since, keptSince.emails);
  const isOdd = (published: number, times: number, since: Date | undefined) =>
    published !== times && (published > 0 || isAfter(since, keptSince.published));
  return problems([
    [twice !== undefined, `has the e-mail ${twice} twice`],
    [
      completed > 0 && (lacks('ORDER_CONFIRMED', at.confirmed) || lacks('ORDER_SHIPPED', at.shipped)),
      'is completed, and an e-mail is missing',
    ],
    [cancelled > 0 && lacks('ORDER_CANCELLED', at.cancelled), 'is cancelled, and no e-mail says so'],
    [
      isOdd(publishedCompleted, completed, at.completed),
      `is completed ${completed} times, and published so ${publishedCompleted} times`,
    ],
    [
      isOdd(publishedCancelled, cancelled, at.cancelled),
      `is cancelled ${cancelled} times, and published so ${publishedCancelled} times`,
    ],
  ]);
}

/** What is not known to have happened before counts as after. */
function isAfter(time: Date | undefined, since: Date): boolean {
  return time === undefined || time >= since;
}

function problems(rules: readonly [boolean, string][]): string[] {
  return rules.filter(([broken]) => broken).map(([, problem]) => problem);
}

function isSame(one: Pieces | undefined, other: Pieces | undefined): boolean {
  return one?.size === other?.size && [...(one ?? [])].every(([sku, quantity]) => other?.get(sku) === quantity);
}
