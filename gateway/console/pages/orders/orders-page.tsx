import { type FormEvent, useState } from 'react';
import { useSearchParams } from 'wouter';
import { OrderStatus } from '#gen/causeway/orders/v1/order_status_pb.js';
import { Field } from '../../parts/field.tsx';
import { Page } from '../../parts/page.tsx';
import { useSession } from '../../session.ts';
import { FoundOrders } from './found-orders.tsx';
import { OrderList } from './order-list.tsx';
import { orderStatuses, statusText } from './order-status.tsx';
import { PlaceOrder } from './place-order.tsx';
import './orders.css';

export default function OrdersPage() {
  const isOperator = useSession()?.role === 'operator';
  const [places, setPlaces] = useState(false);
  const [address, setAddress] = useSearchParams();
  const text = address.get('q') ?? '';
  const status = orderStatuses.find((each) => OrderStatus[each] === address.get('status')) ?? OrderStatus.UNSPECIFIED;
  const change = (name: string, value: string) =>
    setAddress((before) => {
      const next = new URLSearchParams(before);
      if (value === '') next.delete(name);
      else next.set(name, value);
      // Another text has other meanings.
      if (name === 'q') next.delete('as');
      return next;
    });

  return (
    <Page
      title="Orders"
      about={isOperator ? "Every customer's, the newest first" : 'Yours, the newest first'}
      actions={
        <button type="button" className="main" onClick={() => setPlaces(true)}>
          Place an order
        </button>
      }
    >
      <search className="filters">
        <SearchField key={text} text={text} isOperator={isOperator} onSearch={(next) => change('q', next)} />
        <Field label="Status">
          {(control) => (
            <select
              {...control}
              value={status === OrderStatus.UNSPECIFIED ? '' : OrderStatus[status]}
              onChange={(event) => change('status', event.target.value)}
            >
              <option value="">Any</option>
              {orderStatuses.map((each) => (
                <option key={each} value={OrderStatus[each]}>
                  {statusText(each)}
                </option>
              ))}
            </select>
          )}
        </Field>
      </search>
      {text === '' ? (
        <OrderList
          filter={{ status }}
          empty={
            status === OrderStatus.UNSPECIFIED ? 'There are no orders yet: place one.' : 'No order is like that now.'
          }
        />
      ) : (
        <FoundOrders
          text={text}
          status={status}
          as={address.get('as') ?? ''}
          onChoose={(meaning) => change('as', meaning)}
        />
      )}
      {places && <PlaceOrder onClose={() => setPlaces(false)} />}
    </Page>
  );
}

function SearchField({ text, isOperator, onSearch }: SearchParts) {
  const [entered, setEntered] = useState(text);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSearch(entered.trim());
  };
  const what = isOperator ? 'Order id, e-mail, customer or correlation id' : 'Order id, e-mail or correlation id';
  return (
    <form className="search field wide" onSubmit={submit}>
      <Field label={what} isWide>
        {(control) => (
          <input
            {...control}
            type="search"
            maxLength={254}
            autoComplete="off"
            spellCheck={false}
            value={entered}
            onChange={(event) => {
              setEntered(event.target.value);
              // The cross in the field empties it.
              if (event.target.value === '') onSearch('');
            }}
          />
        )}
      </Field>
      <button type="submit">Search</button>
    </form>
  );
}

type SearchParts = { text: string; isOperator: boolean; onSearch: (text: string) => void };
