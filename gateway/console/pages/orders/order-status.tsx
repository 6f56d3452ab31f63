import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { Badge, type Tone } from '../../parts/badge.tsx';
import { words } from '../../parts/words.ts';

const tones: Readonly<Record<OrderStatus, Tone>> = {
  [OrderStatus.UNSPECIFIED]: 'idle',
  [OrderStatus.PLACED]: 'busy',
  [OrderStatus.CONFIRMED]: 'busy',
  [OrderStatus.SHIPPED]: 'busy',
  [OrderStatus.COMPLETED]: 'good',
  [OrderStatus.CANCELLED]: 'warning',
};

export const orderStatuses = [
  OrderStatus.PLACED,
  OrderStatus.CONFIRMED,
  OrderStatus.SHIPPED,
  OrderStatus.COMPLETED,
  OrderStatus.CANCELLED,
] as const;

export function statusText(status: OrderStatus): string {
  return words(OrderStatus[status] ?? 'unknown');
}

export function StatusBadge({ status }: { status: OrderStatus }) {
  return <Badge tone={tones[status] ?? 'idle'}>{statusText(status)}</Badge>;
}
