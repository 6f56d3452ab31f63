import { memo, useEffect, useMemo, useState } from 'react';
import type { WatchOverviewResponse } from '#gen/causeway/operations/v1/flow_pb.js';
import { operations } from '../../connection.ts';
import { Loading } from '../../parts/answer.tsx';
import { Failure, failureText } from '../../parts/failure.tsx';
import { Clock, spanText, useNow } from '../../parts/moment.tsx';
import { Page } from '../../parts/page.tsx';
import { useStream } from '../../parts/stream.ts';
import { flowGraph } from './flow-graph.ts';
import { FlowList } from './flow-list.tsx';
import { FlowMap } from './flow-map.tsx';
import { FlowTable } from './flow-table.tsx';
import { HealthBand } from './health-band.tsx';
import { MinutesChart } from './minutes-chart.tsx';
import { NodeDetails } from './node-details.tsx';
import { Outcomes } from './outcomes.tsx';
import { Tiles } from './tiles.tsx';
import { useWidth } from './use-width.ts';
import './overview.css';

/** A picture comes every two seconds: after so long without one, what is shown is not what is. */
const SILENCE_MS = 8_000;
/** Narrower, and the map can't be read: a list takes its place. */
const MAP_WIDTH = 640;

type Heard = { overview: WatchOverviewResponse; at: number };

/** How the platform is, at a glance. */
export default function OverviewPage() {
  const [attempt, setAttempt] = useState(0);
  const [heard, setHeard] = useState<Heard>();
  const now = useNow();
  const { error } = useStream(
    `overview ${attempt}`,
    (signal) => operations.watchOverview({}, { signal }),
    (overview) => setHeard({ overview, at: Date.now() }),
  );
  const again = () => setAttempt(attempt + 1);
  const silences = heard === undefined ? 0 : Math.floor((now - heard.at) / SILENCE_MS);
  const isOld = error !== undefined || silences > 0;
  // A connection that has died without a word is not waited for: it is made anew.
  useEffect(() => {
    if (silences > 0) setAttempt((before) => before + 1);
  }, [silences]);

  return (
    <Page title="Overview" actions={<AsOf heard={heard} isOld={isOld} now={now} />}>
      {heard === undefined && (error === undefined ? <Loading /> : <Failure error={error} again={again} />)}
      {heard !== undefined && (
        <>
          {isOld && <Interrupted error={error} again={again} />}
          <div className={isOld ? 'overview old' : 'overview'}>
            <Picture overview={heard.overview} />
          </div>
        </>
      )}
    </Page>
  );
}

function AsOf({ heard, isOld, now }: { heard: Heard | undefined; isOld: boolean; now: number }) {
  if (heard === undefined) return null;
  return (
    <p className="muted">
      {isOld ? `As it was ${spanText(Math.max(1_000, now - heard.at))} ago, at ` : 'Live, as of '}
      <Clock at={heard.overview.at} />
    </p>
  );
}

function Interrupted({ error, again }: { error: unknown; again: () => void }) {
  return (
    <div className="failure" role="alert">
      <p>
        <strong>This picture is old.</strong>{' '}
        {error === undefined ? 'Nothing has come for a while.' : failureText(error)} It goes on by itself as soon as it
        can.
      </p>
      <button type="button" onClick={again}>
        Try now
      </button>
    </div>
  );
}

const Picture = memo(({ overview }: { overview: WatchOverviewResponse }) => {
  const graph = useMemo(() => flowGraph(overview), [overview]);
  const [selected, setSelected] = useState<string>();
  const [measure, width] = useWidth();
  const isNarrow = width !== undefined && width < MAP_WIDTH;
  return (
    <>
      <HealthBand overview={overview} graph={graph} onSelect={setSelected} />
      <Tiles overview={overview} />
      <div className="picture">
        <section aria-label="Flow of events" ref={measure} className={isNarrow ? undefined : 'flow'}>
          <h2 className="unseen">Flow of events</h2>
          {width !== undefined &&
            (isNarrow ? (
              <FlowList graph={graph} selected={selected} />
            ) : (
              <>
                <FlowMap graph={graph} width={width} selected={selected} onSelect={setSelected} />
                <Legend />
              </>
            ))}
        </section>
        <div className="aside stack">
          {selected === undefined || isNarrow ? (
            <>
              <MinutesChart minutes={overview.minutes} />
              <Outcomes outcomes={overview.outcomes} />
            </>
          ) : (
            <NodeDetails graph={graph} id={selected} onSelect={setSelected} />
          )}
        </div>
      </div>
      <FlowTable graph={graph} />
    </>
  );
});

/** What the map's signs mean. */
function Legend() {
  return (
    <ul className="legend">
      <li className="service">a service</li>
      <li className="says">what it says</li>
      <li className="acts">what makes it act</li>
      <li className="views">what it shows in views</li>
      <li className="behind">behind (lag)</li>
      <li className="troubled">in trouble (!)</li>
    </ul>
  );
}
