import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { Minute } from '#gen/causeway/operations/v1/flow_pb.js';
import { Table } from '../../parts/table.tsx';
import { counted } from '../../parts/words.ts';

const WIDTH = 300;
const HALF = 56;
const GAP = 1;

/** Sixty minutes: upwards what was placed, downwards what ended. */
export function MinutesChart({ minutes }: { minutes: readonly Minute[] }) {
  const most = Math.max(1, ...minutes.flatMap(({ placed, completed, cancelled }) => [placed, completed + cancelled]));
  const step = WIDTH / Math.max(1, minutes.length);
  const total = (of: (minute: Minute) => number) => minutes.reduce((sum, minute) => sum + of(minute), 0);
  const placed = total((minute) => minute.placed);
  const completed = total((minute) => minute.completed);
  const cancelled = total((minute) => minute.cancelled);
  return (
    <section className="card" aria-label="Orders per minute">
      <h2>Orders per minute</h2>
      <svg
        className="minutes"
        viewBox={`0 0 ${WIDTH} ${HALF * 2 + 1}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`In the last hour: ${counted(placed, 'order')} placed, ${completed} completed, ${cancelled} cancelled; at most ${most} in a minute`}
      >
        {minutes.map((minute, index) => {
          const x = index * step;
          const high = (count: number) => (count / most) * (HALF - 1);
          return (
            <g key={timeOf(minute)}>
              <title>{minuteText(minute)}</title>
              <rect className="room" x={x} y={0} width={step} height={HALF * 2 + 1} />
              <Bar kind="placed" x={x} y={HALF - high(minute.placed)} width={step - GAP} height={high(minute.placed)} />
              <Bar kind="completed" x={x} y={HALF + 1} width={step - GAP} height={high(minute.completed)} />
              <Bar
                kind="cancelled"
                x={x}
                y={HALF + 1 + high(minute.completed)}
                width={step - GAP}
                height={high(minute.cancelled)}
              />
            </g>
          );
        })}
        <line className="axis" x1={0} x2={WIDTH} y1={HALF + 0.5} y2={HALF + 0.5} />
      </svg>
      <p className="scale muted">
        <span>an hour ago</span>
        <span>now</span>
      </p>
      <ul className="key">
        <li className="placed">{placed.toLocaleString()} placed</li>
        <li className="completed">{completed.toLocaleString()} completed</li>
        <li className="cancelled">{cancelled.toLocaleString()} cancelled</li>
      </ul>
      <details className="as-table">
        <summary>As a table</summary>
        <Table
          caption="Orders per minute"
          columns={[
            { name: 'Minute', cell: timeOf },
            { name: 'Placed', cell: (minute) => minute.placed, isNumber: true },
            { name: 'Confirmed', cell: (minute) => minute.confirmed, isNumber: true },
            { name: 'Completed', cell: (minute) => minute.completed, isNumber: true },
            { name: 'Cancelled', cell: (minute) => minute.cancelled, isNumber: true },
          ]}
          rows={minutes.toReversed()}
          keyOf={timeOf}
        />
      </details>
    </section>
  );
}

function Bar({ kind, ...place }: { kind: string; x: number; y: number; width: number; height: number }) {
  return place.height > 0 ? <rect className={kind} {...place} /> : null;
}

function timeOf({ at }: Minute): string {
  return at === undefined
    ? ''
    : timestampDate(at).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
}

function minuteText(minute: Minute): string {
  const { placed, confirmed, completed, cancelled } = minute;
  return `${timeOf(minute)}: ${placed} placed, ${confirmed} confirmed, ${completed} completed, ${cancelled} cancelled`;
}
