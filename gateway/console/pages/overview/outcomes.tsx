import type { Outcome } from '#gen/causeway/operations/v1/flow_pb.js';
import { words } from '../../parts/words.ts';

/** How the orders of the last hour ended. */
export function Outcomes({ outcomes }: { outcomes: readonly Outcome[] }) {
  const total = outcomes.reduce((sum, { orders }) => sum + orders, 0);
  const most = Math.max(1, ...outcomes.map(({ orders }) => orders));
  const sorted = outcomes.toSorted((one, other) => other.orders - one.orders || (one.outcome < other.outcome ? -1 : 1));
  return (
    <section className="card" aria-label="How orders ended">
      <h2>How orders ended</h2>
      {total === 0 && <p className="muted">None has ended in the last hour.</p>}
      <ul className="outcomes">
        {sorted.map(({ outcome, orders }) => (
          <li key={outcome} className={outcome === 'COMPLETED' ? 'completed' : 'cancelled'}>
            <span className="what">{words(outcome)}</span>
            <span className="number">{orders.toLocaleString()}</span>
            <span className="number muted">{((orders / total) * 100).toFixed(orders === total ? 0 : 1)} %</span>
            <span className="share" aria-hidden="true">
              <span style={{ width: `${(orders / most) * 100}%` }} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
