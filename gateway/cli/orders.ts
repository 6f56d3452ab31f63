import { randomUUID } from 'node:crypto';
import { Command, InvalidArgumentError, Option } from 'commander';
import { OrderStatus, OrderStatusSchema } from '#gen/causeway/orders/v1/order_status_pb.js';
import {
  CancelOrderResponseSchema,
  GetOrderHistoryResponseSchema,
  HistoryEventSchema,
  type Order,
  OrderSchema,
  OrderService,
  PlaceOrderResponseSchema,
} from '#gen/causeway/orders/v1/orders_service_pb.js';
import {
  asOperator,
  type CallingOptions,
  calling,
  countFrom,
  oneAnswer,
  PAGE_SIZE,
  readStream,
} from './gateway-client.ts';
import { orderTable, orderText, timelineLine } from './order-text.ts';
import { asJson, counted, print, tell } from './printing.ts';

type ListOptions = CallingOptions & {
  customer?: string;
  status?: string;
  email?: string;
  correlationId?: string;
  limit: number;
};
type WatchOptions = CallingOptions & { limit?: number };
type CancelOptions = CallingOptions & { because: string; requestId?: string };
type Line = { sku: string; quantity: number };
type PlaceOptions = CallingOptions & {
  customer: string;
  line: Line[];
  email: string;
  paymentMethod: string;
  shipTo: Address;
  requestId?: string;
};
type Address = ReturnType<typeof addressFrom>;

/** Words for statuses, such as `placed`. */
const statuses = new Map<string, OrderStatus>(
  OrderStatusSchema.values
    .filter(({ number }) => number !== OrderStatus.UNSPECIFIED)
    .map(({ localName, number }) => [localName.toLowerCase(), number]),
);

/** `orders`: find them, look at what became of one, place and cancel. */
export function ordersCommand(): Command {
  const group = new Command('orders').description('orders: find them, follow one, place one, cancel it');

  group
    .command('list')
    .description('list orders, the newest first')
    .option('--customer <id>', 'of this customer')
    .addOption(new Option('--status <status>', 'only those').choices([...statuses.keys()]))
    .option('--email <address>', 'with this e-mail address, in whatever case')
    .option('--correlation-id <id>', 'placed by the call with this id')
    .option('--limit <orders>', 'how many to show', countFrom, PAGE_SIZE)
    .action((options: ListOptions) => list(options));

  group
    .command('show')
    .description('show an order, and what happened to it in every service')
    .argument('<order id>')
    .action((orderId: string, options: CallingOptions) => show(orderId, options));

  group
    .command('watch')
    .description('show what happened to an order, and what happens to it, until Ctrl-C')
    .argument('<order id>')
    .option('--limit <events>', 'end after so many', countFrom)
    .action((orderId: string, options: WatchOptions) => watch(orderId, options));

  group
    .command('cancel')
    .description('cancel an order that is not confirmed yet')
    .argument('<order id>')
    .requiredOption('--because <words>', 'why, for the customer')
    .option('--request-id <id>', 'the same one again does nothing again')
    .action((orderId: string, options: CancelOptions) => cancel(orderId, options));

  group
    .command('place')
    .description('place an order for a customer')
    .requiredOption('--customer <id>', 'whose order it is')
    .requiredOption('--line <sku=quantity...>', 'what is ordered, such as coffee-beans=2', lineFrom)
    .requiredOption('--email <address>', 'where the customer is told')
    .option('--payment-method <method>', 'as the payment provider names it', 'pm_ok')
    .addOption(
      new Option('--ship-to <address>', 'name, street, city, postal code, country code')
        .argParser(addressFrom)
        .default(addressFrom('A. Sample, 1 Sample Street, Galway, H91 XY12, IE'), 'a sample address'),
    )
    .option('--request-id <id>', 'the same one again does nothing again')
    .action((options: PlaceOptions) => place(options));

  const orderId = '00000000-0000-4000-8000-000000000001';
  const examples: Record<string, string[]> = {
    list: ['--status cancelled', '--email anna@example.com --json'],
    show: [orderId],
    watch: [orderId],
    cancel: [`${orderId} --because "ordered twice"`],
    place: ['--customer anna --line coffee-beans=2 espresso-cup=1 --email anna@example.com'],
  };
  for (const command of group.commands) calling(command, ...(examples[command.name()] ?? []));
  return group;
}

async function list(options: ListOptions): Promise<void> {
  const { customer: customerId = '', email = '', correlationId = '', limit } = options;
  const status = statuses.get(options.status ?? '') ?? OrderStatus.UNSPECIFIED;
  const found: Order[] = [];
  const hasMore = await asOperator(OrderService, options, async (client) => {
    for (let pageToken = ''; ; ) {
      const pageSize = Math.min(PAGE_SIZE, limit - found.length);
      const request = { customerId, status, email, correlationId, pageSize, pageToken };
      const page = await client.listOrders(request, oneAnswer);
      found.push(...page.orders);
      pageToken = page.nextPageToken;
      if (pageToken === '' || found.length >= limit) return pageToken !== '';
    }
  });
  if (options.json) {
    for (const order of found) print(asJson(OrderSchema, order));
    return;
  }
  if (found.length > 0) print(orderTable(found));
  tell(hasMore ? `the newest ${found.length}; there are more` : counted(found.length, 'order'));
}

async function show(orderId: string, options: CallingOptions): Promise<void> {
  const history = await asOperator(OrderService, options, (client) =>
    client.getOrderHistory({ orderId, includeOrder: true }, oneAnswer),
  );
  print(options.json ? asJson(GetOrderHistoryResponseSchema, history, 2) : orderText(history.events));
}

async function watch(orderId: string, options: WatchOptions): Promise<void> {
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  await asOperator(OrderService, options, (client) =>
    readStream(
      (signal) => client.watchOrder({ orderId, includeOrder: true }, signal),
      ({ event }) => {
        if (event === undefined) return false;
        print(options.json ? asJson(HistoryEventSchema, event) : timelineLine(event));
        return --left <= 0;
      },
    ),
  );
}

async function cancel(orderId: string, options: CancelOptions): Promise<void> {
  const { because: reason, requestId = randomUUID() } = options;
  const cancelled = await asOperator(OrderService, options, (client) =>
    client.cancelOrder({ orderId, reason, requestId }, oneAnswer),
  );
  print(options.json ? asJson(CancelOrderResponseSchema, cancelled) : `order ${orderId} is cancelled`);
}

async function place(options: PlaceOptions): Promise<void> {
  const { customer: customerId, line: lines, email, paymentMethod, shipTo } = options;
  const { requestId = randomUUID() } = options;
  const request = { customerId, lines, email, paymentMethod, shipTo, requestId };
  const placed = await asOperator(OrderService, options, (client) => client.placeOrder(request, oneAnswer));
  print(options.json ? asJson(PlaceOrderResponseSchema, placed) : `order ${placed.orderId} is placed`);
}

function lineFrom(given: string, before: Line[] = []): Line[] {
  const [, sku = '', quantity] = /^([A-Za-z0-9_-]{1,64})=([1-9]\d{0,4})$/.exec(given) ?? [];
  if (quantity === undefined) throw new InvalidArgumentError('It is a sku and how many, such as coffee-beans=2.');
  return [...before, { sku, quantity: Number(quantity) }];
}

function addressFrom(given: string) {
  const [name = '', line1 = '', city = '', postalCode = '', countryCode, ...rest] = given
    .split(',')
    .map((part) => part.trim());
  if (countryCode === undefined || rest.length > 0) {
    throw new InvalidArgumentError('It is a name, street, city, postal code and country code, with commas between.');
  }
  return { name, line1, city, postalCode, countryCode };
}
