import type { DescMessage, DescMethodUnary, MessageInitShape } from '@bufbuild/protobuf';
import { useMutation } from '@connectrpc/connect-query';
import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { Dialog } from './dialog.tsx';
import { Failure } from './failure.tsx';
import { Field } from './field.tsx';
import { newRequestId } from './request-id.ts';
import { violationsOf } from './violations.ts';

const MAX_REASON = 500;

/** A command that asks for a reason: closes when it was done, and says why where it was not. */
export function ActDialog<Input extends DescMessage, Output extends DescMessage>(parts: Parts<Input, Output>) {
  const { title, act, method, reasonField, isDangerous = false, requestWith, onClose, children } = parts;
  const [requestId] = useState(newRequestId);
  const [reason, setReason] = useState('');
  const queries = useQueryClient();
  const command = useMutation(method, {
    onSuccess: onClose,
    onSettled: () => queries.invalidateQueries(),
  });
  const problem = violationsOf(command.error).get(reasonField);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    command.mutate(requestWith(reason.trim(), requestId));
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="stack" onSubmit={submit}>
        {children}
        <Field label="Why, for the record" problem={problem}>
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
        {command.isError && problem === undefined && <Failure error={command.error} />}
        <div className="buttons">
          <button
            type="submit"
            className={isDangerous ? 'danger' : 'main'}
            disabled={command.isPending || reason.trim() === ''}
          >
            {command.isPending ? 'Asking for it…' : act}
          </button>
          <button type="button" onClick={onClose}>
            Leave it as it is
          </button>
        </div>
      </form>
    </Dialog>
  );
}

type Parts<Input extends DescMessage, Output extends DescMessage> = {
  title: string;
  /** What the button says. */
  act: string;
  method: DescMethodUnary<Input, Output>;
  /** The request's field that the reason goes to. */
  reasonField: string;
  isDangerous?: boolean;
  requestWith: (reason: string, requestId: string) => MessageInitShape<Input>;
  onClose: () => void;
  /** What it does, and what else is chosen. */
  children: ReactNode;
};
