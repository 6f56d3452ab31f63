import { useMutation } from '@connectrpc/connect-query';
import { type FormEvent, useState } from 'react';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { Dialog } from '../../parts/dialog.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Field } from '../../parts/field.tsx';
import { newRequestId } from '../../parts/request-id.ts';
import { violationsOf } from '../../parts/violations.ts';

const MAX_REASON = 500;

/** Asks why, and cancels. The order may have gone further meanwhile: then it says so. */
export function CancelOrder({ orderId, onClose }: { orderId: string; onClose: () => void }) {
  const [requestId] = useState(newRequestId);
  const [reason, setReason] = useState('');
  const cancel = useMutation(OrderService.method.cancelOrder, { onSuccess: onClose });
  const problem = violationsOf(cancel.error).get('reason');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    cancel.mutate({ orderId, reason: reason.trim(), requestId });
  };
  return (
    <Dialog title="Cancel the order" onClose={onClose}>
      <form onSubmit={submit} className="stack">
        <p>What was reserved and authorised is undone. It can not be taken back.</p>
        <Field label="Why" problem={problem}>
          {(control) => (
            <input
              {...control}
              required
              maxLength={MAX_REASON}
              value={reason}
              onChange={(event) => setReason(event.target.value)}
            />
          )}
        </Field>
        {cancel.isError && problem === undefined && <Failure error={cancel.error} />}
        <div className="buttons">
          <button type="submit" className="danger" disabled={cancel.isPending || reason.trim() === ''}>
            {cancel.isPending ? 'Cancelling…' : 'Cancel the order'}
          </button>
          <button type="button" onClick={onClose}>
            Keep it
          </button>
        </div>
      </form>
    </Dialog>
  );
}
