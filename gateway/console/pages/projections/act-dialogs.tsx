import { useState } from 'react';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { ActDialog } from '../../parts/act-dialog.tsx';
import { counted } from '../../parts/words.ts';
import type { Act, Row } from './build-words.ts';
import { CompareDialog } from './compare-dialog.tsx';

type Parts = { row: Row; onClose: () => void };

/** What was chosen to be done with a build. */
export function ProjectionAct({ act, ...parts }: Parts & { act: Act }) {
  switch (act) {
    case 'rebuild':
      return <RebuildDialog {...parts} />;
    case 'switch':
    case 'roll-back':
      return <SwitchDialog {...parts} isBack={act === 'roll-back'} />;
    case 'discard':
      return <DiscardDialog {...parts} />;
    case 'compare':
      return <CompareDialog {...parts} />;
  }
}

function RebuildDialog({ row: { projection, build }, onClose }: Parts) {
  const { service, view } = projection;
  const [switches, setSwitches] = useState(false);
  return (
    <ActDialog
      title={`Rebuild ${view} of ${service}`}
      act="Rebuild"
      method={OperationsService.method.rebuildProjection}
      reasonField="reason"
      requestWith={(reason, requestId) => ({ service, view, switchWhenCaughtUp: switches, reason, requestId })}
      onClose={onClose}
    >
      <p>
        The view is built anew from {counted(build.eventsTotal, 'event')}, beside what readers see: nobody notices. A
        previous build is dropped.
      </p>
      <label className="inline">
        <input type="checkbox" checked={switches} onChange={(event) => setSwitches(event.target.checked)} />
        Switch readers to it as soon as it has caught up
      </label>
    </ActDialog>
  );
}

function SwitchDialog({ row: { projection, build }, isBack, onClose }: Parts & { isBack: boolean }) {
  const { service, view } = projection;
  return (
    <ActDialog
      title={isBack ? `Roll ${view} back to build ${build.build}` : `Switch ${view} to build ${build.build}`}
      act={isBack ? 'Roll back' : 'Switch'}
      method={OperationsService.method.switchProjection}
      reasonField="reason"
      requestWith={(reason, requestId) => ({ service, view, build: build.build, reason, requestId })}
      onClose={onClose}
    >
      <p>
        Readers of {service} see build {build.build} ({counted(build.documents, 'document')}) from then on, without a
        gap. What they see now is kept and followed, so that it can be undone.
      </p>
    </ActDialog>
  );
}

function DiscardDialog({ row: { projection, build }, onClose }: Parts) {
  const { service, view } = projection;
  return (
    <ActDialog
      title={`Discard build ${build.build} of ${view}`}
      act="Discard"
      isDangerous
      method={OperationsService.method.discardProjectionBuild}
      reasonField="reason"
      requestWith={(reason, requestId) => ({ service, view, build: build.build, reason, requestId })}
      onClose={onClose}
    >
      <p>
        Its {counted(build.documents, 'document')} are dropped, and it is built no further. Readers do not see it; to
        have it again, it has to be rebuilt.
      </p>
    </ActDialog>
  );
}
