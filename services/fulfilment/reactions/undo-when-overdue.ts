import type { DescMessage } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { SpanKind } from '@opentelemetry/api';
import { StockRejectedSchema, StockReservedSchema } from '#gen/causeway/inventory/v1/events_pb.js';
import { PaymentAuthorizedSchema, PaymentDeclinedSchema } from '#gen/causeway/payments/v1/events_pb.js';
import {
  ShipmentCancelledSchema,
  ShipmentDeliveredSchema,
  ShipmentDispatchedSchema,
} from '#gen/causeway/shipping/v1/events_pb.js';
import type { Broker } from '#kit/broker.ts';
import { causedBy } from '#kit/caused-by.ts';
import type { DeadlineRule } from '#kit/deadlines.ts';
import type { CommandRequest } from '#kit/decider.ts';
import { Header } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import { subjectOf } from '#kit/partitions.ts';
import { journalOf } from '#kit/streams.ts';
import { withCorrelation } from '#kit/telemetry/correlation.ts';
import { contextFrom, inSpan } from '#kit/telemetry/tracing.ts';
import type { FulfilmentCommand } from '../domain/fulfilment.ts';
import type { DeadlineDocument } from '../views/deadlines/deadlines-view.ts';

type Waiting = Required<DeadlineDocument> & { _id: string };

/** Where the answer is said first. The order confirms or ships on it, and fulfilment hears of it by the order. */
const answering: Record<Waiting['waitsFor'], { service: string; aggregate: string; answers: readonly DescMessage[] }> =
  {
    stock: { service: 'inventory', aggregate: 'reservation', answers: [StockReservedSchema, StockRejectedSchema] },
    payment: { service: 'payments', aggregate: 'payment', answers: [PaymentAuthorizedSchema, PaymentDeclinedSchema] },
    shipment: {
      service: 'shipping',
      aggregate: 'shipment',
      answers: [ShipmentDispatchedSchema, ShipmentDeliveredSchema, ShipmentCancelledSchema],
    },
  };

/**
 * Tells a fulfilment that its deadline has passed. An answer that was said already wins over the clock, however long
 * it takes to come here.
 */
export function undoWhenOverdue(
  projection: DeadlineRule<DeadlineDocument>['projection'],
  broker: Broker,
  handle: (request: CommandRequest<FulfilmentCommand>) => Promise<unknown>,
): DeadlineRule<DeadlineDocument> {
  return {
    name: 'undo-when-overdue',
    projection,
    field: 'deadline',
    async onOverdue({ _id, waitsFor, asked }, now) {
      if (waitsFor === undefined || asked === undefined) return;
      if (await isAnswered(broker, _id, waitsFor)) return;
      const traced = (name: string) => (name === 'traceparent' || name === 'tracestate' ? asked[name] : undefined);
      const parent = withCorrelation(contextFrom(traced), asked.correlationId);
      const attributes = () => ({ 'causeway.key': _id, 'causeway.waits_for': waitsFor });
      await inSpan('deadline passed', { kind: SpanKind.INTERNAL, attributes, parent }, () =>
        handle({
          key: _id,
          command: { type: 'DeadlinePassed', orderId: _id, now: timestampFromDate(now) },
          ...causedBy(asked, 'fulfilment'),
        }),
      );
    },
  };
}

/** By what the journal's leader knows. An answer that is said after this look is undone, as any late one. */
async function isAnswered(broker: Broker, orderId: string, waitsFor: Waiting['waitsFor']): Promise<boolean> {
  const { service, aggregate, answers } = answering[waitsFor];
  const last = await new Journal(journalOf(service), broker).lastForCertain(subjectOf(service, aggregate, orderId));
  return answers.some(({ typeName }) => typeName === last?.headers.get(Header.type));
}
