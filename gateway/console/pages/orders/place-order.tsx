import { useMutation } from '@connectrpc/connect-query';
import { type FormEvent, useState } from 'react';
import { useLocation } from 'wouter';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { Dialog } from '../../parts/dialog.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Field } from '../../parts/field.tsx';
import { newRequestId } from '../../parts/request-id.ts';
import { violationsOf } from '../../parts/violations.ts';
import { useSession } from '../../session.ts';
import { cameFrom } from './came-from.ts';
import { ItemChoice } from './item-choice.tsx';

/** The sandbox's payment methods, as test cards are elsewhere, and what becomes of an order that is paid so. */
const paymentMethods: readonly [string, string][] = [
  ['pm_ok', 'is authorised: the order is completed'],
  ['pm_declined', 'card declined: the order is undone'],
  ['pm_insufficient_funds', 'insufficient funds: the order is undone'],
  ['pm_slow', 'answers after 20 seconds'],
  ['pm_flaky', 'fails twice, then works'],
  ['pm_never', 'never answers: the payment deadline decides'],
  ['pm_capture_refused', 'capture refused after dispatch: an operator has to settle it'],
  ['pm_void_refused', 'void refused: an operator has to settle it'],
];

/** Fields of the form beside the items: the contract's name, what it is called, and what stands in it for trying. */
const addressFields: readonly [string, string, string][] = [
  ['name', 'Name', 'Alice Adams'],
  ['line1', 'Address', '1 Main Street'],
  ['line2', 'Address, second line (optional)', ''],
  ['postal_code', 'Postal code', '10115'],
  ['city', 'City', 'Berlin'],
  ['country_code', 'Country code', 'DE'],
];

/** Places an order of the sandbox, and goes to it. */
export function PlaceOrder({ onClose }: { onClose: () => void }) {
  const session = useSession();
  const [, navigate] = useLocation();
  const [requestId] = useState(newRequestId);
  const [quantities, setQuantities] = useState<Readonly<Record<string, number>>>({});
  const [isEmpty, setIsEmpty] = useState(false);
  const place = useMutation(OrderService.method.placeOrder, {
    onSuccess: ({ orderId, position }) => navigate(`/orders/${orderId}`, { state: cameFrom(position) }),
  });
  const problems = violationsOf(place.error);
  const lines = Object.entries(quantities).flatMap(([sku, quantity]) => (quantity > 0 ? [{ sku, quantity }] : []));
  const isOperator = session?.role === 'operator';

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    setIsEmpty(lines.length === 0);
    if (lines.length === 0 || place.isPending) return;
    const form = new FormData(event.currentTarget);
    const text = (name: string) => String(form.get(name) ?? '').trim();
    place.mutate({
      requestId,
      customerId: isOperator ? text('customer_id') : '',
      lines,
      email: text('email'),
      paymentMethod: text('payment_method'),
      shipTo: {
        name: text('name'),
        line1: text('line1'),
        line2: text('line2'),
        city: text('city'),
        postalCode: text('postal_code'),
        countryCode: text('country_code').toUpperCase(),
      },
    });
  };

  return (
    <Dialog title="Place an order" onClose={onClose}>
      <form onSubmit={submit} className="stack" noValidate>
        <ItemChoice
          quantities={quantities}
          onChange={(sku, quantity) => setQuantities({ ...quantities, [sku]: quantity })}
          problem={isEmpty && lines.length === 0 ? 'Choose an item.' : problems.get('lines')}
          problemOf={(sku) =>
            problemOfLine(
              problems,
              lines.findIndex((line) => line.sku === sku),
            )
          }
        />
        <div className="form-grid">
          {isOperator && (
            <Field label="Customer id" problem={problems.get('customer_id')}>
              {(control) => <input {...control} name="customer_id" required defaultValue="alice" autoComplete="off" />}
            </Field>
          )}
          <Field label="E-mail" problem={problems.get('email')}>
            {(control) => (
              <input {...control} name="email" type="email" defaultValue="alice@example.com" autoComplete="off" />
            )}
          </Field>
          <Field label="Payment method" problem={problems.get('payment_method')}>
            {(control) => (
              <select {...control} name="payment_method">
                {paymentMethods.map(([method, about]) => (
                  <option key={method} value={method}>
                    {method}: {about}
                  </option>
                ))}
              </select>
            )}
          </Field>
          {addressFields.map(([name, label, value]) => (
            <Field key={name} label={label} problem={problems.get(`ship_to.${name}`)}>
              {(control) => <input {...control} name={name} defaultValue={value} autoComplete="off" />}
            </Field>
          ))}
        </div>
        {place.isError && !isShownAtFields(problems) && <Failure error={place.error} />}
        <div className="buttons">
          <button type="submit" className="main" disabled={place.isPending}>
            {place.isPending ? 'Placing…' : 'Place the order'}
          </button>
          <button type="button" onClick={onClose}>
            Close
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** Whether all that is wrong stands beside its field. */
function isShownAtFields(problems: ReadonlyMap<string, string>): boolean {
  const shown = /^(customer_id|email|payment_method|lines(\[\d+\]\.(sku|quantity))?|ship_to\.\w+)$/;
  return problems.size > 0 && [...problems.keys()].every((field) => shown.test(field));
}

function problemOfLine(problems: ReadonlyMap<string, string>, index: number): string | undefined {
  return index === -1 ? undefined : (problems.get(`lines[${index}].quantity`) ?? problems.get(`lines[${index}].sku`));
}
