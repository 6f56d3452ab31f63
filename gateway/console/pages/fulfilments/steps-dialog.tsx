import { timestampMs } from '@bufbuild/protobuf/wkt';
import { useQuery } from '@connectrpc/connect-query';
import { Link } from 'wouter';
import {
  type Fulfilment,
  FulfilmentStatus,
  type FulfilmentStep,
  OperationsService,
} from '#gen/causeway/operations/v1/operations_service_pb.js';
import { Answer } from '../../parts/answer.tsx';
import { Badge } from '../../parts/badge.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { Clock, Moment, spanText } from '../../parts/moment.tsx';
import { shortType } from '../../parts/payload.tsx';
import { words } from '../../parts/words.ts';
import { Deadline } from './deadline.tsx';
import { hasEnded, waitingFor } from './waiting.ts';

const REFRESH_MS = 2_000;

type Parts = { orderId: string; onResolve: (fulfilment: Fulfilment) => void; onClose: () => void };

/** One fulfilment, step by step, for as long as it goes on. */
export function StepsDialog({ orderId, onResolve, onClose }: Parts) {
  const query = useQuery(
    OperationsService.method.getFulfilment,
    { orderId },
    {
      refetchInterval: ({ state }) => {
        const status = state.data?.fulfilment?.status;
        return status !== undefined && hasEnded(status) ? false : REFRESH_MS;
      },
    },
  );
  return (
    <Dialog title="How it is fulfilled" onClose={onClose}>
      <Answer query={query}>
        {({ fulfilment }) =>
          fulfilment !== undefined && (
            <>
              <Facts fulfilment={fulfilment} />
              <ol className="steps-of-one">
                {fulfilment.steps.map((step, index) => (
                  <Step
                    key={`${step.type} ${step.at?.seconds} ${step.at?.nanos}`}
                    step={step}
                    before={fulfilment.steps[index - 1]}
                  />
                ))}
              </ol>
              {fulfilment.status === FulfilmentStatus.NEEDS_ATTENTION && (
                <button type="button" className="main" onClick={() => onResolve(fulfilment)}>
                  Settle it
                </button>
              )}
            </>
          )
        }
      </Answer>
    </Dialog>
  );
}

function Facts({ fulfilment: { orderId, status, reason, since, deadline } }: { fulfilment: Fulfilment }) {
  return (
    <dl className="facts">
      <dt>Order</dt>
      <dd>
        <Link href={`/orders/${orderId}`} className="mono">
          {orderId}
        </Link>
      </dd>
      <dt>Stands</dt>
      <dd>
        <Badge tone={waitingFor(status).tone}>{waitingFor(status).text}</Badge> {reason !== '' && words(reason)}
      </dd>
      <dt>Since</dt>
      <dd>
        <Moment at={since} />
      </dd>
      {!hasEnded(status) && (
        <>
          <dt>Deadline</dt>
          <dd>
            <Deadline at={deadline} />
          </dd>
        </>
      )}
    </dl>
  );
}

function Step({ step, before }: { step: FulfilmentStep; before: FulfilmentStep | undefined }) {
  const ms = step.at && before?.at ? timestampMs(step.at) - timestampMs(before.at) : undefined;
  return (
    <li>
      <strong>{words(shortType(step.type))}</strong>
      <span className="when muted">
        <Clock at={step.at} />
        {ms !== undefined && ms > 0 && `, ${spanText(ms)} later`}
      </span>
      {step.note !== '' && <span className="breaks">{step.note}</span>}
    </li>
  );
}
