import { Link } from 'wouter';
import { BuildStatus, type ProjectionBuild } from '#gen/causeway/operations/v1/projections_pb.js';
import { Badge } from '../../parts/badge.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Progress } from '../../parts/progress.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { counted } from '../../parts/words.ts';
import { type Act, actsFor, buildStatus, isBehind, progressText, type Row, shareDone } from './build-words.ts';

type Parts = { rows: readonly Row[]; onAct: (act: Act, row: Row) => void };

const ACTS: Record<Act, { text: string; className?: string }> = {
  rebuild: { text: 'Rebuild' },
  compare: { text: 'Compare' },
  switch: { text: 'Switch', className: 'main' },
  'roll-back': { text: 'Roll back' },
  discard: { text: 'Discard', className: 'danger' },
};

/** A row for each build of each view. */
export function BuildTable({ rows, onAct }: Parts) {
  return (
    <Table
      caption="Views and their builds"
      columns={[...columns, { name: 'Do', cell: (row) => <Acts row={row} onAct={onAct} /> }]}
      rows={rows}
      keyOf={({ projection, build }) => `${projection.service} ${projection.view} ${projection.version} ${build.build}`}
    />
  );
}

const columns: readonly Column<Row>[] = [
  { name: 'View', cell: (row) => <ViewName row={row} /> },
  { name: 'Build', cell: (row) => <BuildName build={row.build} /> },
  { name: 'How far', cell: ({ projection, build }) => <HowFar service={projection.service} build={build} /> },
  { name: 'Documents', cell: ({ build }) => build.documents.toLocaleString(), isNumber: true },
];

function ViewName({ row: { projection, isFirst } }: { row: Row }) {
  const { service, view, version, streams } = projection;
  return (
    <span className={isFirst ? 'view' : 'view beside'}>
      <strong>{view}</strong> <span className="muted">of {service}</span>
      {isFirst && (
        <span className="muted more-of-it">
          version {version}, from {streams.join(', ')}
        </span>
      )}
    </span>
  );
}

function BuildName({ build }: { build: ProjectionBuild }) {
  const { text, tone } = buildStatus(build.status);
  return (
    <span>
      <Badge tone={tone}>{text}</Badge>
      <span className="muted more-of-it">
        build {build.build}, begun <Moment at={build.startedAt} />
        {build.startedBy !== '' && ` by ${build.startedBy}`}
      </span>
    </span>
  );
}

function HowFar({ service, build }: { service: string; build: ProjectionBuild }) {
  const { status, eventsLeft, parkedMessages, trouble, positions, switchesWhenCaughtUp } = build;
  const isBuilding = status === BuildStatus.BUILDING;
  return (
    <div className="how-far">
      {isBuilding && <Progress label={`Events in build ${build.build}`} share={shareDone(build)} />}
      {isBuilding && progressText(build)}
      {!isBuilding && isBehind(build) && <span className="behind">! {counted(eventsLeft, 'event')} behind</span>}
      {!isBuilding && !isBehind(build) && 'up to date'}
      {isBuilding && switchesWhenCaughtUp && <span className="muted more-of-it">Readers are switched to it then.</span>}
      {parkedMessages > 0n && (
        <Link className="wrong more-of-it" href={`/dead-letters?consumer=${service}-${build.collection}`}>
          ! {counted(parkedMessages, 'message')} parked
        </Link>
      )}
      {trouble !== '' && <span className="wrong more-of-it">! {trouble}</span>}
      {positions.length > 0 && <Positions build={build} />}
    </div>
  );
}

/** How far each journal's partitions have come into it. */
function Positions({ build: { positions } }: { build: ProjectionBuild }) {
  const byStream = [...Map.groupBy(positions, ({ stream }) => stream)];
  return (
    <details>
      <summary>Positions</summary>
      <ul className="positions">
        {byStream.map(([stream, at]) => (
          <li key={stream}>
            <strong>{stream}</strong>
            {at
              .toSorted((one, other) => one.partition - other.partition)
              .map(({ partition, sequence }) => (
                <span key={partition} title={`Partition ${partition}`}>
                  <span className="muted">{partition}:</span> {sequence.toLocaleString()}
                </span>
              ))}
          </li>
        ))}
      </ul>
    </details>
  );
}

function Acts({ row, onAct }: { row: Row; onAct: Parts['onAct'] }) {
  const acts = actsFor(row);
  if (acts.length === 0) return <span className="muted">–</span>;
  return (
    <span className="acts">
      {acts.map((act) => (
        <button key={act} type="button" className={ACTS[act].className} onClick={() => onAct(act, row)}>
          {ACTS[act].text}
          <span className="unseen">
            {' '}
            {row.projection.view} of {row.projection.service}, build {row.build.build}
          </span>
        </button>
      ))}
    </span>
  );
}
