import { useParams } from 'wouter';
import { Page } from '../../parts/page.tsx';
import { useSession } from '../../session.ts';
import { EmailsCard, FulfilmentCard, ParkedCard, PaymentCard, RetryingCard, ShipmentCard } from './order-cards.tsx';
import { OrderHead } from './order-head.tsx';
import { placeOfLast, useHistory } from './order-history.ts';
import { isOrderId } from './search-text.ts';
import { TimeTravel } from './time-travel.tsx';
import './orders.css';

/** All about one order, as it happens: what it is, every event of every service, and how everything stood after each. */
export default function OrderPage() {
  const { orderId = '' } = useParams();
  if (!isOrderId(orderId)) {
    return (
      <Page title="Order">
        <p className="state">{orderId} is not an order's id.</p>
      </Page>
    );
  }
  return <OneOrder orderId={orderId.toLowerCase()} />;
}

function OneOrder({ orderId }: { orderId: string }) {
  const isOperator = useSession()?.role === 'operator';
  const history = useHistory(orderId);
  const after = (stream: string) => placeOfLast(history.events, stream);
  return (
    <Page title="Order" about={<span className="mono breaks">{orderId}</span>}>
      <OrderHead orderId={orderId} after={after('ORDERS')} />
      <div className="order-parts">
        <TimeTravel history={history} isOperator={isOperator} />
        <div className="stack beside">
          {isOperator && <FulfilmentCard orderId={orderId} after={after('FULFILMENT')} />}
          <PaymentCard orderId={orderId} after={after('PAYMENTS')} />
          <ShipmentCard orderId={orderId} after={after('SHIPPING')} />
          <EmailsCard orderId={orderId} after={after('NOTICES')} />
          {isOperator && <RetryingCard orderId={orderId} />}
          {isOperator && <ParkedCard orderId={orderId} />}
        </div>
      </div>
    </Page>
  );
}
