import { randomUUID } from 'node:crypto';
import { fromBinary } from '@bufbuild/protobuf';
import { durationMs } from '@bufbuild/protobuf/wkt';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '#gen/google/rpc/error_details_pb.js';

/** Where an event stands, as protobuf JSON writes it: whoever gets it hands it back as it is. */
export type Position = { stream: string; partition?: number; sequence: string };

export type Placed = { orderId: string; version: string; position: Position };

export type Cancelled = { version: string; position: Position };

export type OrderJson = { orderId: string; status: string; total: object; lines: object[]; version: string };

/** An event with the whole of what it says, which names its type. */
export type EventJson = { type: string; version: string; actor: string; traceId?: string; data: { '@type': string } };

/** A client of orders, by whatever means it calls. What it answers is protobuf JSON. Every adapter passes the same tests. */
export type OrderClient = {
  /** @throws RefusedCall as do the others. */
  place(order: OrderRequest): Promise<Placed>;
  read(orderId: string, atLeast?: Position[]): Promise<OrderJson>;
  cancel(orderId: string): Promise<Cancelled>;
  /** Ends when nobody reads on. */
  watch(orderId: string): AsyncIterable<EventJson>;
};

type OrderRequest = ReturnType<typeof orderRequest>;

/** An order of two cups and one bag of beans, with an id of its own. */
export function orderRequest() {
  return {
    orderId: randomUUID() as string,
    lines: [
      { sku: 'espresso-cup', quantity: 2 },
      { sku: 'coffee-beans', quantity: 1 },
    ],
    email: 'ada@example.com',
    paymentMethod: 'pm_ok',
    shipTo: { name: 'Ada Byron', line1: '12 St James Square', city: 'London', postalCode: 'SW1Y', countryCode: 'GB' },
  };
}

/** A call that was refused, with what its details say, decoded. */
export class RefusedCall extends Error {
  override name = 'RefusedCall';
  /** As google.rpc.Code names it. */
  readonly code: string;
  readonly fields: string[];
  readonly reason: string | undefined;
  readonly metadata: Record<string, string>;
  readonly retryAfterMs: number | undefined;

  /** @param details types by full name, with what they are encoded as. */
  constructor(code: string, message: string, details: readonly { type: string; value: Uint8Array }[]) {
    super(message);
    this.code = code;
    const of = (name: string) => details.find(({ type }) => type === name)?.value ?? new Uint8Array();
    this.fields = fromBinary(BadRequestSchema, of(BadRequestSchema.typeName)).fieldViolations.map(({ field }) => field);
    const { reason, metadata } = fromBinary(ErrorInfoSchema, of(ErrorInfoSchema.typeName));
    this.reason = reason === '' ? undefined : reason;
    this.metadata = metadata;
    const { retryDelay } = fromBinary(RetryInfoSchema, of(RetryInfoSchema.typeName));
    this.retryAfterMs = retryDelay === undefined ? undefined : durationMs(retryDelay);
  }
}

/** An error as Connect writes it in JSON. */
export type ErrorJson = { code: string; message?: string; details?: { type: string; value: string }[] };

export function refusedCall({ code, message = '', details = [] }: ErrorJson): RefusedCall {
  const decoded = details.map(({ type, value }) => ({ type, value: Buffer.from(value, 'base64') }));
  return new RefusedCall(code.toUpperCase(), message, decoded);
}

/** How a call was refused. @throws Error where it was not. */
export async function refusal(call: Promise<unknown>): Promise<RefusedCall> {
  const outcome = await call.catch((error: unknown) => error);
  if (!(outcome instanceof RefusedCall)) throw new Error('the call was not refused', { cause: outcome });
  return outcome;
}
