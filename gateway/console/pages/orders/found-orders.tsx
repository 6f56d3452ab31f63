import { useQuery } from '@connectrpc/connect-query';
import { Redirect } from 'wouter';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { Loading } from '../../parts/answer.tsx';
import { useSession } from '../../session.ts';
import { type OrderFilter, OrderList, useOrders } from './order-list.tsx';
import { isOrderId, type Meaning, meaningNames, meaningsOf } from './search-text.ts';

/** What was found: an order id leads to its order; else each thing that the text may mean is looked for. */
export function FoundOrders({ text, status, as, onChoose }: Parts) {
  const role = useSession()?.role ?? 'customer';
  const meanings = meaningsOf(text, role);
  const byId = useQuery(OrderService.method.getOrder, { orderId: text }, { enabled: isOrderId(text), retry: false });
  // Who came back from another meaning is not sent away again.
  if (byId.data !== undefined && as === '') return <Redirect to={`/orders/${text.toLowerCase()}`} replace />;
  if (isOrderId(text) && byId.isPending) return <Loading />;
  const lists = meanings.filter((meaning): meaning is ListMeaning => meaning !== 'order');
  return <Lists text={text} status={status} as={as} onChoose={onChoose} lists={lists} wasOrderId={isOrderId(text)} />;
}

type Parts = { text: string; status: OrderStatus; as: string; onChoose: (meaning: Meaning) => void };
type ListMeaning = Exclude<Meaning, 'order'>;

function Lists({
  text,
  status,
  as,
  onChoose,
  lists,
  wasOrderId,
}: Parts & { lists: ListMeaning[]; wasOrderId: boolean }) {
  const counts: Record<ListMeaning, Count> = {
    email: useCount('email', text, status, lists),
    customer: useCount('customer', text, status, lists),
    correlation: useCount('correlation', text, status, lists),
  };
  const asked = lists.find((each) => each === as);
  // What is found first is not replaced by what the text means more likely.
  if (asked === undefined && lists.some((each) => !counts[each].isKnown)) return <Loading />;
  const chosen = asked ?? lists.find((each) => counts[each].orders > 0) ?? lists[0];
  if (chosen === undefined) return null;
  return (
    <>
      <nav className="meanings" aria-label="What the text is searched as">
        <span className="muted">
          {wasOrderId && 'No order has this id. '}
          Searched as
        </span>
        {lists.map((meaning) => (
          <button key={meaning} type="button" aria-pressed={meaning === chosen} onClick={() => onChoose(meaning)}>
            {meaningNames[meaning]} <span className="muted">{counts[meaning].text}</span>
          </button>
        ))}
      </nav>
      <OrderList
        filter={filterOf(chosen, text, status)}
        empty={`No order ${status === OrderStatus.UNSPECIFIED ? '' : 'with this status '}has this ${meaningNames[chosen]}.`}
      />
    </>
  );
}

type Count = { orders: number; text: string; isKnown: boolean };

/** How many there are, as far as the first page tells. */
function useCount(meaning: ListMeaning, text: string, status: OrderStatus, lists: readonly ListMeaning[]): Count {
  const { data, isError, hasNextPage } = useOrders(filterOf(meaning, text, status), lists.includes(meaning));
  if (isError && data === undefined) return { orders: 0, text: 'not to be had', isKnown: true };
  const orders = data?.pages.reduce((sum, page) => sum + page.orders.length, 0) ?? 0;
  return { orders, text: data === undefined ? '…' : `${orders}${hasNextPage ? '+' : ''}`, isKnown: data !== undefined };
}

function filterOf(meaning: ListMeaning, text: string, status: OrderStatus): OrderFilter {
  if (meaning === 'email') return { status, email: text };
  return meaning === 'customer' ? { status, customerId: text } : { status, correlationId: text };
}
