import type { MessageShape } from '@bufbuild/protobuf';
import type { PaymentRequested } from '#gen/causeway/fulfilment/v1/events_pb.js';
import type { MoneySchema } from '#gen/google/type/money_pb.js';
import type { Money } from '../domain/money.ts';
import type { AuthorizationRequest } from './payment-provider.ts';

/** What fulfilment asks for. */
export function requestIn({ orderId, customerId, amount, paymentMethod }: PaymentRequested): AuthorizationRequest {
  return { orderId, customerId, amount: moneyIn(amount), paymentMethod };
}

export function moneyIn(amount: MessageShape<typeof MoneySchema> | undefined): Money {
  const { currencyCode = '', units = 0n, nanos = 0 } = amount ?? {};
  return { currencyCode, units, nanos };
}
