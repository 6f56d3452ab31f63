import type { Any } from '@bufbuild/protobuf/wkt';
import { useState } from 'react';
import { Dialog } from '../../parts/dialog.tsx';
import { Field } from '../../parts/field.tsx';
import { newRequestId } from '../../parts/request-id.ts';
import { violationsOf } from '../../parts/violations.ts';
import { ReplayProgress } from './replay-progress.tsx';
import { useReplay } from './replay-run.ts';
import { askedOf, type Selection } from './selection.ts';

const MAX_REASON = 500;
const MAX_RATE = 1_000;

/** Replays a selection: first only says what would be, then does it, at a set rate; can be stopped, and gone on with. */
export function ReplayDialog({ selection, edited, onClose }: Parts) {
  const [requestId] = useState(newRequestId);
  const [reason, setReason] = useState('');
  const [rate, setRate] = useState('');
  const { run, start, stop } = useReplay();
  const isBegun = run.is !== 'ready' && !run.wasDryRun;
  const isRunning = run.is === 'running';
  const request = {
    ...askedOf(selection),
    ...(edited === undefined ? {} : { edited }),
    reason: reason.trim(),
    keysPerSecond: Number(rate) || 0,
    requestId,
  };
  const problems = violationsOf(run.error);
  return (
    <Dialog title={edited === undefined ? 'Replay' : 'Replay as edited'} onClose={onClose}>
      <div className="stack">
        <p>{selection.text}: handled once more by the consumer that parked them, each key's first to last.</p>
        <div className="form-row">
          <Field label="Why, for the record" problem={problems.get('reason')} isWide>
            {(control) => (
              <input
                {...control}
                maxLength={MAX_REASON}
                value={reason}
                disabled={isBegun}
                onChange={(event) => setReason(event.target.value)}
              />
            )}
          </Field>
          <Field label="Keys per second" hint="empty: as fast as it goes" problem={problems.get('keys_per_second')}>
            {(control) => (
              <input
                {...control}
                type="number"
                min={1}
                max={MAX_RATE}
                value={rate}
                disabled={isBegun}
                onChange={(event) => setRate(event.target.value)}
              />
            )}
          </Field>
        </div>
        <ReplayProgress run={run} />
        <div className="buttons">
          {run.is !== 'ended' || run.wasDryRun ? (
            <button type="button" className="main" disabled={isRunning} onClick={() => start(request)}>
              {isBegun ? 'Go on' : 'Replay'}
            </button>
          ) : null}
          {!isBegun && (
            <button
              type="button"
              disabled={isRunning}
              onClick={() => start({ ...request, requestId: '', dryRun: true })}
            >
              Dry run
            </button>
          )}
          {isRunning && (
            <button type="button" className="danger" onClick={stop}>
              Stop
            </button>
          )}
          <button type="button" onClick={onClose}>
            {isRunning ? 'Stop and close' : 'Close'}
          </button>
        </div>
      </div>
    </Dialog>
  );
}

type Parts = {
  selection: Selection;
  /** What the first message of the key is handled as. */
  edited?: Any;
  onClose: () => void;
};
