import { timestampMs } from '@bufbuild/protobuf/wkt';
import { useQuery } from '@connectrpc/connect-query';
import { Fragment, useState } from 'react';
import type { Rebalance, ServiceInstance } from '#gen/causeway/operations/v1/flow_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { Answer } from '../../parts/answer.tsx';
import { Moment } from '../../parts/moment.tsx';
import { counted } from '../../parts/words.ts';

const REFRESH_MS = 4_000;
const MOST_SHOWN = 50;

/** What an instance owns, and since when: what came together is said together. */
export function OwnedPartitions({ partitions, owned }: ServiceInstance) {
  if (partitions.length === 0) return null;
  // A program of before does not say since when.
  if (owned.length === 0) return <>, partitions {partitions.join(', ')}</>;
  const bySince = [...Map.groupBy(owned, ({ since }) => (since === undefined ? 0 : timestampMs(since)))];
  return bySince.map(([ms, together], index) => (
    <Fragment key={ms}>
      {index === 0 ? ', partitions ' : '; '}
      {together.map(({ partition }) => partition).join(', ')} since <Moment at={together[0]?.since} />
    </Fragment>
  ));
}

/** Who came to own which partitions of a service; asked for once somebody opens it. */
export function RebalanceHistory({ service }: { service: string }) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <details className="history" onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
      <summary>Who owned what, of the last day</summary>
      {isOpen && <Rebalances service={service} />}
    </details>
  );
}

function Rebalances({ service }: { service: string }) {
  const query = useQuery(
    OperationsService.method.listRebalances,
    { service, pageSize: MOST_SHOWN },
    { refetchInterval: REFRESH_MS },
  );
  return (
    <Answer query={query} empty="Nothing is known of it." isEmpty={({ rebalances }) => rebalances.length === 0}>
      {({ rebalances }) => (
        <ul className="plain" aria-label="Changes of ownership">
          {rebalances.map((rebalance) => (
            <li key={rebalance.eventId}>
              <span className="what">{changeText(rebalance)}</span>
              <span className="number">
                <Moment at={rebalance.at} />
              </span>
              <span className="muted below breaks">
                instance <span className="mono">{rebalance.instanceId.slice(0, 8)}</span> on {rebalance.host}, one of{' '}
                {counted(rebalance.instances, 'instance')}, owned{' '}
                {rebalance.partitions.length === 0 ? 'nothing' : rebalance.partitions.join(', ')} then
              </span>
            </li>
          ))}
        </ul>
      )}
    </Answer>
  );
}

function changeText({ gained, lost }: Rebalance): string {
  const words = [
    ...(gained.length === 0 ? [] : [`got ${gained.join(', ')}`]),
    ...(lost.length === 0 ? [] : [`gave up ${lost.join(', ')}`]),
  ];
  return words.join(' and ');
}
