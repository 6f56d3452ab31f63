import { useState } from 'react';
import { useSearchParams } from 'wouter';
import { type Fulfilment, FulfilmentStatus } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { Field } from '../../parts/field.tsx';
import { Page } from '../../parts/page.tsx';
import { FulfilmentList } from './fulfilment-list.tsx';
import { SettleDialog } from './settle-dialog.tsx';
import { StepsDialog } from './steps-dialog.tsx';
import { fulfilmentStatuses, statusNamed, waitingFor } from './waiting.ts';
import './fulfilments.css';

/** How orders are fulfilled or undone. What is asked for stands in the address, so that it can be sent to a colleague. */
export default function FulfilmentsPage() {
  const [address, setAddress] = useSearchParams();
  const [settled, setSettled] = useState<Fulfilment>();
  const filter = { status: statusNamed(address.get('status')), overdue: address.get('overdue') === 'yes' };
  const shown = address.get('order') ?? '';
  const change = (name: string, value: string) =>
    setAddress((before) => {
      const next = new URLSearchParams(before);
      if (value === '') next.delete(name);
      else next.set(name, value);
      return next;
    });
  const settle = (fulfilment: Fulfilment) => {
    change('order', '');
    setSettled(fulfilment);
  };
  return (
    <Page
      title="Fulfilments"
      about={
        filter.overdue
          ? 'What waits on what: the longest overdue first'
          : 'What waits on what, since when and until when: the newest first'
      }
    >
      <Filters filter={filter} onChange={change} />
      <div className="fulfilments">
        <FulfilmentList filter={filter} onShow={({ orderId }) => change('order', orderId)} onResolve={settle} />
      </div>
      {shown !== '' && <StepsDialog orderId={shown} onResolve={settle} onClose={() => change('order', '')} />}
      {settled !== undefined && <SettleDialog fulfilment={settled} onClose={() => setSettled(undefined)} />}
    </Page>
  );
}

type FiltersParts = {
  filter: { status: FulfilmentStatus; overdue: boolean };
  onChange: (name: string, value: string) => void;
};

function Filters({ filter: { status, overdue }, onChange }: FiltersParts) {
  const needsAttention = status === FulfilmentStatus.NEEDS_ATTENTION;
  const attention = FulfilmentStatus[FulfilmentStatus.NEEDS_ATTENTION] ?? '';
  return (
    <search className="filters fulfilment-filters">
      <Field label="Status">
        {(control) => (
          <select
            {...control}
            value={status === FulfilmentStatus.UNSPECIFIED ? '' : FulfilmentStatus[status]}
            onChange={(event) => onChange('status', event.target.value)}
          >
            <option value="">Any</option>
            {fulfilmentStatuses.map((each) => (
              <option key={each} value={FulfilmentStatus[each]}>
                {waitingFor(each).text.replace(/^! /, '')}
              </option>
            ))}
          </select>
        )}
      </Field>
      <button
        type="button"
        aria-pressed={needsAttention}
        onClick={() => onChange('status', needsAttention ? '' : attention)}
      >
        Needs attention
      </button>
      <button type="button" aria-pressed={overdue} onClick={() => onChange('overdue', overdue ? '' : 'yes')}>
        Overdue
      </button>
    </search>
  );
}
