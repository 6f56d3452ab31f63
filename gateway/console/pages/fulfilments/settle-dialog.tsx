import { useState } from 'react';
import { Resolution } from '#gen/causeway/operations/v1/events_pb.js';
import { type Fulfilment, OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { ActDialog } from '../../parts/act-dialog.tsx';
import { words } from '../../parts/words.ts';

const CHOICES = [
  { resolution: Resolution.RETRY, text: 'Try again', about: 'What was refused is asked for once more.' },
  {
    resolution: Resolution.SETTLED,
    text: 'Settled elsewhere',
    about: 'It was done outside the platform; the fulfilment goes on as if it had worked.',
  },
] as const;

/** Settles what no rule could settle. */
export function SettleDialog({ fulfilment, onClose }: { fulfilment: Fulfilment; onClose: () => void }) {
  const { orderId, reason, steps } = fulfilment;
  const [resolution, setResolution] = useState<Resolution>(Resolution.RETRY);
  return (
    <ActDialog
      title="Settle a fulfilment"
      act={CHOICES.find((choice) => choice.resolution === resolution)?.text ?? 'Settle it'}
      method={OperationsService.method.resolveFulfilment}
      reasonField="note"
      requestWith={(note, requestId) => ({ orderId, resolution, note, requestId })}
      onClose={onClose}
    >
      <p>
        {words(reason)}, order <span className="mono breaks">{orderId}</span>
      </p>
      {steps.at(-1)?.note !== '' && <p className="muted breaks">{steps.at(-1)?.note}</p>}
      <fieldset className="choices">
        <legend>How</legend>
        {CHOICES.map(({ resolution: each, text, about }) => (
          <label key={each} className="inline">
            <input type="radio" name="resolution" checked={each === resolution} onChange={() => setResolution(each)} />
            <span>
              <strong>{text}.</strong> {about}
            </span>
          </label>
        ))}
      </fieldset>
    </ActDialog>
  );
}
