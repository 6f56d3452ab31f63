import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Latency, WatchOverviewResponse } from '#gen/causeway/operations/v1/flow_pb.js';
import { durationText } from '../../parts/moment.tsx';
import { counted } from '../../parts/words.ts';
import { ordersPerMinute } from './figures.ts';

/** The figures that matter first. */
export function Tiles({ overview }: { overview: WatchOverviewResponse }) {
  const { openFulfilments, overdueFulfilments, fulfilmentsNeedingAttention, parkedMessages } = overview;
  const now = overview.at === undefined ? Date.now() : timestampMs(overview.at);
  return (
    <dl className="tiles" aria-label="Figures">
      <Tile name="Orders per minute" value={ordersPerMinute(overview.minutes, now).toLocaleString()}>
        <Link href="/orders">placed in the last 60 s</Link>
      </Tile>
      <Tile
        name="In work"
        value={openFulfilments.toLocaleString()}
        tone={overdueFulfilments > 0 ? 'warning' : undefined}
      >
        {overdueFulfilments > 0 ? (
          <Link href="/fulfilments?overdue=yes">! {overdueFulfilments.toLocaleString()} overdue</Link>
        ) : (
          <Link href="/fulfilments">none overdue</Link>
        )}
      </Tile>
      <Tile
        name="Need attention"
        value={fulfilmentsNeedingAttention.toLocaleString()}
        tone={fulfilmentsNeedingAttention > 0 ? 'bad' : undefined}
      >
        <Link href="/fulfilments?status=NEEDS_ATTENTION">
          {fulfilmentsNeedingAttention > 0 ? '! to be settled by you' : 'nothing to be settled'}
        </Link>
      </Tile>
      <Tile name="Parked" value={parkedMessages.toLocaleString()} tone={parkedMessages > 0n ? 'bad' : undefined}>
        <Link href="/dead-letters">{parkedMessages > 0n ? '! dead letters wait' : 'no dead letters'}</Link>
      </Tile>
      <LatencyTile name="Confirmed within" latency={overview.confirmedWithin} />
      <LatencyTile name="Completed within" latency={overview.completedWithin} />
    </dl>
  );
}

type TileParts = { name: string; value: ReactNode; tone?: 'bad' | 'warning' | undefined; children: ReactNode };

function Tile({ name, value, tone, children }: TileParts) {
  return (
    <div className={`tile ${tone ?? ''}`}>
      <dt>{name}</dt>
      <dd className="value">{value}</dd>
      <dd className="note">{children}</dd>
    </div>
  );
}

function LatencyTile({ name, latency }: { name: string; latency: Latency | undefined }) {
  const isKnown = latency !== undefined && latency.orders > 0;
  return (
    <Tile name={name} value={isKnown ? durationText(latency.p50) : '–'}>
      <span title={isKnown ? `p50 and p99 of the latest ${counted(latency.orders, 'order')}` : undefined}>
        {isKnown ? `p50, and p99 ${durationText(latency.p99)}` : 'none lately'}
      </span>
    </Tile>
  );
}
