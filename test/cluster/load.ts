import { setTimeout as delay } from 'node:timers/promises';
import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { v4 as uuid } from 'uuid';
import { AnalyticsService } from '#gen/causeway/analytics/v1/analytics_service_pb.js';
import type { Position } from '#gen/causeway/events/v1/position_pb.js';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { NotificationService } from '#gen/causeway/notifications/v1/notifications_service_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { WebhookService } from '#gen/causeway/webhooks/v1/webhooks_service_pb.js';
import { oneOf, type Random } from '../chaos/random.ts';
import { type Caller, CallFailed } from './callers.ts';
import type { Tally } from './tally.ts';

const SKUS = ['coffee-beans', 'espresso-cup', 'grinder', 'coffee-beans', 'last-one', 'sold-out'];
const METHODS = ['pm_ok', 'pm_ok', 'pm_ok', 'pm_ok', 'pm_flaky', 'pm_declined', 'pm_never'];
const SHARE_CANCELLED = 0.1;
const SHARE_WATCHED = 0.2;
const ENDS = new Set(['causeway.orders.v1.OrderCompleted', 'causeway.orders.v1.OrderCancelled']);

const TIMEOUT_MS = 8_000;
const RETRY_MS = 100;
/** A request that is not answered by then is lost. */
const LOST_MS = 120_000;
const WATCH_MS = 180_000;
const PAUSE_MS = 500;
/** Worth another try: it has not happened, or has happened and is told again. */
const TRY_AGAIN = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'ABORTED', 'CANCELLED', 'CONNECTION']);

/** People who order, read and watch, all the time, until they are told to stop. */
export class Load {
  readonly #random: Random;
  readonly #tally: Tally;
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>[] = [];
  /** Orders whose caller was told that they are placed. */
  readonly acknowledged: string[] = [];

  constructor(random: Random, tally: Tally) {
    this.#random = random;
    this.#tally = tally;
  }

  /** One who orders, and one who reads what there is. */
  start(caller: Caller): void {
    this.#running.push(
      this.#untilStopped(() => this.#order(caller)),
      this.#untilStopped(() => this.#readOne(caller)),
    );
  }

  /** Resolves once every request is answered, and every order that is watched was seen to its end. */
  async stop(): Promise<void> {
    this.#stop.abort();
    // Watches are added while orders are placed.
    for (let running = this.#running.splice(0); running.length > 0; running = this.#running.splice(0)) {
      await Promise.all(running);
    }
  }

  async #untilStopped(act: () => Promise<unknown>): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await act();
      await delay(PAUSE_MS);
    }
  }

  async #order(caller: Caller): Promise<void> {
    const random = this.#random;
    const orderId = uuid({ random: Uint8Array.from({ length: 16 }, () => Math.floor(random() * 256)) });
    const number = Math.floor(random() * 1_000);
    const placed = await this.#answered(caller, OrderService.method.placeOrder, {
      orderId,
      requestId: orderId,
      customerId: `customer-${number}`,
      lines: [{ sku: oneOf(random, SKUS), quantity: 1 }],
      email: `customer-${number}@example.com`,
      paymentMethod: oneOf(random, METHODS),
      shipTo: { name: 'A Customer', line1: '1 Long Road', city: 'Delft', postalCode: '2611', countryCode: 'NL' },
    });
    if (placed === undefined) return;
    this.acknowledged.push(orderId);
    this.#tally.ordered();
    if (random() < SHARE_WATCHED) this.#running.push(this.#watch(caller, orderId));
    await this.#read(caller, orderId, placed.position);
    if (random() >= SHARE_CANCELLED) return;
    const cancel = { orderId, reason: 'changed my mind', requestId: `cancel ${orderId}` };
    // It may be too late for it, which is an answer too.
    await this.#answered(caller, OrderService.method.cancelOrder, cancel, 'FAILED_PRECONDITION');
  }

  /** Who has placed an order reads it, as it is from then on. */
  async #read(caller: Caller, orderId: string, position: Position | undefined): Promise<void> {
    const atLeast = position === undefined ? [] : [position];
    const read = await this.#answered(caller, OrderService.method.getOrder, { orderId, atLeast });
    if (read !== undefined && read.order?.orderId !== orderId)
      this.#tally.failed('an order that was placed is not read');
  }

  /** Something of each service that answers. */
  async #readOne(caller: Caller): Promise<void> {
    const orderId = this.acknowledged.at(-1);
    const reads = [
      () => this.#answered(caller, OrderService.method.listOrders, { pageSize: 10 }),
      () => this.#answered(caller, InventoryService.method.listItems, { pageSize: 10 }),
      () => this.#answered(caller, AnalyticsService.method.getDailyRevenue, {}),
      () => this.#answered(caller, OperationsService.method.listServices, {}),
      () => this.#answered(caller, WebhookService.method.listEndpoints, {}),
      ...(orderId === undefined
        ? []
        : [() => this.#answered(caller, NotificationService.method.listNotifications, { orderId })]),
    ];
    await oneOf(this.#random, reads)();
  }

  /** Follows an order to its end, by another stream where one ends before; one that says nothing more is a failure. */
  async #watch(caller: Caller, orderId: string): Promise<void> {
    this.#tally.watched();
    const latest = performance.now() + WATCH_MS;
    while (performance.now() < latest) {
      try {
        const answers = caller.stream(
          OrderService.method.watchOrder,
          { orderId },
          Math.ceil(latest - performance.now()),
        );
        for await (const { event } of answers) if (ENDS.has(event?.type ?? '')) return;
        this.#tally.failed('a stream ended without an error before its order did');
      } catch (error) {
        if (!(error instanceof CallFailed)) throw error;
        if (performance.now() >= latest) break;
        if (!TRY_AGAIN.has(error.code)) return this.#tally.failed(`a stream was told ${error.code}: ${error.message}`);
        this.#tally.retried(`${error.code} (stream)`);
      }
      await delay(RETRY_MS);
    }
    this.#tally.failed('the end of an order was not seen by who watched it');
  }

  /** Sends a request until it is answered; undefined where it is answered with what it must not be, which is counted. */
  async #answered<Input extends DescMessage, Output extends DescMessage>(
    caller: Caller,
    method: DescMethodUnary<Input, Output>,
    request: MessageInitShape<Input>,
    refusal = '',
  ): Promise<MessageShape<Output> | undefined> {
    const began = performance.now();
    while (performance.now() - began < LOST_MS) {
      try {
        const answer = await caller.call(method, request, TIMEOUT_MS);
        this.#tally.answered(began);
        return answer;
      } catch (error) {
        if (!(error instanceof CallFailed)) throw error;
        if (error.code === refusal) {
          this.#tally.answered(began);
          return undefined;
        }
        if (!TRY_AGAIN.has(error.code)) {
          this.#tally.failed(`${method.name} was told ${error.code}: ${error.message}`);
          return undefined;
        }
        this.#tally.retried(error.code);
      }
      await delay(RETRY_MS);
    }
    this.#tally.failed(`${method.name} was never answered`);
    return undefined;
  }
}
