import { randomUUID } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  GetPaymentResponseSchema,
  PaymentService,
  type RefundPaymentRequest,
  RefundPaymentRequestSchema,
  RefundPaymentResponseSchema,
} from '#gen/causeway/payments/v1/payments_service_pb.js';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import { CallError } from '#kit/errors.ts';
import type { Projection } from '#kit/projection.ts';
import type { RequestId, UseRequestId } from '#kit/request-id.ts';
import type { Call } from '#kit/rpc/call.ts';
import { type Door, door } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';
import { uuidsIn } from '#kit/uuid.ts';
import type { Payment, PaymentCommand } from '../domain/payment.ts';
import { type PaymentDocument, paymentMessage } from '../views/payments/payments-view.ts';

/**
 * Refund ids that are made from a caller and a request id (UUIDv5); it also stands there that the request id was used.
 * The namespace is fixed for ever.
 */
const refundIdOf = uuidsIn('0d7f7a52-4c1e-5b0a-9a39-6f3b7f1e8c24');

export type PaymentDoorParts = {
  handle(request: CommandRequest<PaymentCommand>): Promise<CommandResult<Payment>>;
  /** The payment as its journal's leader knows it. */
  stateOf(orderId: string): Promise<Payment | undefined>;
  noteRequest(request: CommandRequest<UseRequestId>): Promise<CommandResult<RequestId>>;
  payments: Projection<PaymentDocument>;
};

/** PaymentService: what became of payments, and refunds by operators. */
export function paymentDoor({ handle, stateOf, noteRequest, payments }: PaymentDoorParts): Door {
  return door(PaymentService, {
    async getPayment(request, call) {
      const { find } = await payments.reached(request.atLeast, call.signal);
      const orderId = request.orderId.toLowerCase();
      const payment = await find(orderId);
      if (payment === undefined || !maySee(payment.customerId, call)) throw unknownPayment(orderId);
      return create(GetPaymentResponseSchema, { payment: paymentMessage(payment) });
    },

    async refundPayment(request, call) {
      requireRole(call, 'operator');
      const orderId = request.orderId.toLowerCase();
      const { amount, reason, requestId } = request;
      const asked = {
        caller: call.caller.subject,
        requestId,
        content: contentOf({ ...request, orderId, requestId: '' }),
        correlationId: call.correlationId,
        causationId: requestId === '' ? randomUUID() : requestId,
      };
      const refundId = requestId === '' ? randomUUID() : refundIdOf(`${asked.caller}\n${requestId}`);
      if (requestId !== '') {
        // No request id is used up for a payment that there is not.
        if ((await stateOf(orderId)) === undefined) throw unknownPayment(orderId);
        await noteRequest({
          ...asked,
          key: refundId,
          creates: true,
          command: { type: 'UseRequestId', about: orderId },
        });
      }
      const command = { type: 'RequestRefund', orderId, refundId, amount, reason } as const;
      const result = await handle({ ...asked, key: orderId, command });
      return create(RefundPaymentResponseSchema, {
        refundId,
        version: BigInt(result.version),
        position: result.position,
      });
    },
  });
}

/** Another customer's payment is as good as none. */
function unknownPayment(orderId: string): CallError {
  return new CallError('NOT_FOUND', `there is no payment of order ${orderId}`, {
    reason: 'PAYMENT_UNKNOWN',
    metadata: { order_id: orderId },
  });
}

function maySee(customerId: string, { caller }: Call): boolean {
  return caller.role === 'operator' || caller.subject === customerId;
}

/** What a repeat of the request must equal. */
function contentOf(request: RefundPaymentRequest): Uint8Array {
  return Buffer.concat([
    Buffer.from(RefundPaymentRequestSchema.typeName),
    toBinary(RefundPaymentRequestSchema, request),
  ]);
}
