import type { ReplayDeadLettersResponse } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { Badge } from '../../parts/badge.tsx';
import { Failure } from '../../parts/failure.tsx';
import { Progress } from '../../parts/progress.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { counted } from '../../parts/words.ts';
import type { Run } from './replay-run.ts';

/** How far a replay is, and what came of each key. */
export function ReplayProgress({ run }: { run: Run }) {
  if (run.is === 'ready') return null;
  const rows = [...run.failures, ...run.successes];
  return (
    <div className="stack">
      <Progress
        label="Keys done"
        share={run.keysTotal === 0 ? (run.is === 'running' ? undefined : 1) : run.keysDone / run.keysTotal}
      />
      <p role="status">{textOf(run)}</p>
      {run.error !== undefined && <Failure error={run.error} />}
      {rows.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard.
        <section className="outcomes" aria-label="Outcomes" tabIndex={0}>
          <Table
            caption="What came of each key"
            columns={run.wasDryRun ? dryColumns : columns}
            rows={rows}
            keyOf={({ consumer, partition, key }) => `${consumer} ${partition} ${key}`}
          />
        </section>
      )}
    </div>
  );
}

function textOf({ is, wasDryRun, keysDone, keysTotal, handled, failed }: Run): string {
  const keys = `${keysDone.toLocaleString()} of ${counted(keysTotal, 'key')}`;
  if (wasDryRun) {
    if (is === 'running') return `Looking: ${keys}`;
    return keysTotal === 0
      ? 'Nothing would be replayed.'
      : `${counted(keysTotal, 'key')} would be replayed; nothing was done.`;
  }
  const done = `${keys} done, ${counted(handled, 'message')} handled${failed > 0 ? `, ${counted(failed, 'key')} failed again` : ''}`;
  if (is === 'running') return `${done}…`;
  if (is === 'ended') return `The end: ${done}.`;
  return `Not at its end: ${done}. It goes on where it is.`;
}

const key: Column<ReplayDeadLettersResponse> = {
  name: 'Key',
  cell: ({ key, consumer }) => (
    <>
      <span className="mono breaks">{key}</span> <span className="muted breaks">{consumer}</span>
    </>
  ),
};

const columns: readonly Column<ReplayDeadLettersResponse>[] = [
  key,
  {
    name: 'Outcome',
    cell: ({ error }) => (error === '' ? <Badge tone="good">handled</Badge> : <Badge tone="bad">failed again</Badge>),
  },
  { name: 'Handled', cell: ({ handled }) => handled, isNumber: true },
  { name: 'Still parked', cell: ({ remaining }) => remaining, isNumber: true },
  { name: 'Error', cell: ({ error }) => <span className="breaks">{error}</span> },
];

const dryColumns: readonly Column<ReplayDeadLettersResponse>[] = [
  key,
  { name: 'Messages', cell: ({ remaining }) => remaining, isNumber: true },
  { name: 'Parked for', cell: ({ error }) => <span className="breaks">{error}</span> },
];
