import { useMutation } from '@connectrpc/connect-query';
import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { Dialog } from '../../parts/dialog.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Field } from '../../parts/field.tsx';
import { newRequestId } from '../../parts/request-id.ts';
import { violationsOf } from '../../parts/violations.ts';
import { counted } from '../../parts/words.ts';
import { askedOf, type Selection } from './selection.ts';

const MAX_REASON = 500;

/** Throws parked messages away, with a reason. */
export function DiscardDialog({ selection, onClose }: { selection: Selection; onClose: () => void }) {
  const [requestId] = useState(newRequestId);
  const [reason, setReason] = useState('');
  const [firstOnly, setFirstOnly] = useState(false);
  const queries = useQueryClient();
  const discard = useMutation(OperationsService.method.discardDeadLetters, {
    onSettled: () => queries.invalidateQueries(),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    discard.mutate({ ...askedOf(selection), firstOnly, reason: reason.trim(), requestId });
  };
  if (discard.data !== undefined) {
    const { discarded, keys } = discard.data;
    return (
      <Dialog title="Discarded" onClose={onClose}>
        <p role="status">
          {counted(discarded, 'message')} of {counted(keys, 'key')} thrown away.
        </p>
        <button type="button" className="main" onClick={onClose}>
          Close
        </button>
      </Dialog>
    );
  }
  return (
    <Dialog title="Discard" onClose={onClose}>
      <form className="stack" onSubmit={submit}>
        <p>
          {selection.text}: thrown away for this consumer, for ever. What it would have done will not be done; the
          journal and other consumers keep them.
        </p>
        <Field label="Why, for the record" problem={violationsOf(discard.error).get('reason')}>
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
        <label className="inline">
          <input type="checkbox" checked={firstOnly} onChange={(event) => setFirstOnly(event.target.checked)} />
          Only the first message of each key; those behind it wait for a replay
        </label>
        {discard.isError && <Failure error={discard.error} />}
        <div className="buttons">
          <button type="submit" className="danger" disabled={discard.isPending || reason.trim() === ''}>
            {discard.isPending ? 'Discarding…' : discard.isError ? 'Go on' : 'Discard for ever'}
          </button>
          <button type="button" onClick={onClose}>
            Keep them
          </button>
        </div>
      </form>
    </Dialog>
  );
}
