import { useQuery } from '@connectrpc/connect-query';
import { keepPreviousData } from '@tanstack/react-query';
import { useState } from 'react';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { type Order, OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { Answer } from '../../parts/answer.tsx';
import { Moment } from '../../parts/moment.tsx';
import { moneyText } from '../../parts/money.ts';
import { useSession } from '../../session.ts';
import { type Place, placedAt } from './came-from.ts';
import { CancelOrder } from './cancel-order.tsx';
import { StatusBadge } from './order-status.tsx';

/** What an order is, as it stands now. */
export function OrderHead({ orderId, after }: { orderId: string; after: Place | undefined }) {
  const place = after ?? placedAt();
  const order = useQuery(
    OrderService.method.getOrder,
    { orderId, atLeast: place === undefined ? [] : [place] },
    { placeholderData: keepPreviousData },
  );
  return <Answer query={order}>{(answer) => answer.order !== undefined && <Head order={answer.order} />}</Answer>;
}

function Head({ order }: { order: Order }) {
  const isOperator = useSession()?.role === 'operator';
  const [cancels, setCancels] = useState(false);
  return (
    <section className="card order-head" aria-label="The order now">
      <div className="order-now">
        <StatusBadge status={order.status} />
        <strong className="total">{moneyText(order.total)}</strong>
        {order.status === OrderStatus.PLACED && (
          <button type="button" className="danger" onClick={() => setCancels(true)}>
            Cancel the order
          </button>
        )}
      </div>
      {order.cancellationReason !== '' && <p>Cancelled: {order.cancellationReason}</p>}
      <div className="order-facts">
        <Lines order={order} />
        <dl className="facts">
          <dt>Placed</dt>
          <dd>
            <Moment at={order.placedAt} />
          </dd>
          {isOperator && (
            <>
              <dt>Customer</dt>
              <dd>{order.customerId}</dd>
            </>
          )}
          <dt>Paid by</dt>
          <dd>{order.paymentMethod}</dd>
          {order.correlationId !== '' && (
            <>
              <dt>Correlation</dt>
              <dd className="mono">{order.correlationId}</dd>
            </>
          )}
        </dl>
        <ShipTo order={order} />
      </div>
      {cancels && <CancelOrder orderId={order.orderId} onClose={() => setCancels(false)} />}
    </section>
  );
}

function Lines({ order: { lines } }: { order: Order }) {
  return (
    <ul className="lines">
      {lines.map(({ sku, name, quantity, unitPrice }) => (
        <li key={sku}>
          {quantity} × {name} <span className="muted">{moneyText(unitPrice)} each</span>
        </li>
      ))}
    </ul>
  );
}

function ShipTo({ order: { shipTo, email } }: { order: Order }) {
  const lines = [
    shipTo?.name,
    shipTo?.line1,
    shipTo?.line2,
    [shipTo?.postalCode, shipTo?.city].filter(Boolean).join(' '),
    shipTo?.countryCode,
  ].filter(Boolean);
  if (lines.length === 0) return <p className="muted">The customer's address was erased.</p>;
  return (
    <address className="breaks">
      {lines.map((line) => (
        <div key={line}>{line}</div>
      ))}
      <div>{email}</div>
    </address>
  );
}
