import { useInfiniteQuery } from '@connectrpc/connect-query';
import { Link } from 'wouter';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { Answer } from '../../parts/answer.tsx';
import { Badge, type Tone } from '../../parts/badge.tsx';
import { Moment } from '../../parts/moment.tsx';
import { More } from '../../parts/more.tsx';
import { counted } from '../../parts/words.ts';
import { type Act, actsOf } from './act-record.ts';

const PAGE_SIZE = 100;
const REFRESH_MS = 5_000;

/** What operators did, as their journal has it: who, when, why, to what, and what came of it. */
export function Acts() {
  const query = useInfiniteQuery(
    OperationsService.method.searchEvents,
    { filter: { streams: ['OPERATIONS'] }, pageSize: PAGE_SIZE, pageToken: '' },
    {
      pageParamKey: 'pageToken',
      getNextPageParam: ({ nextPageToken }) => nextPageToken || undefined,
      refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) <= 1 ? REFRESH_MS : false),
    },
  );
  return (
    <Answer query={query}>
      {({ pages }) => {
        const acts = actsOf(pages.flatMap(({ events }) => events));
        return (
          <>
            {acts.length === 0 && (
              <p className="state">
                No operator has done anything yet{query.hasNextPage ? ', so far as was looked' : ''}.
              </p>
            )}
            <ol className="acts">
              {acts.map((act) => (
                <OneAct key={act.id} act={act} />
              ))}
            </ol>
            <More query={query}>Search further back</More>
          </>
        );
      }}
    </Answer>
  );
}

const ends: Readonly<Record<Act['end'], [Tone, string] | undefined>> = {
  none: undefined,
  open: ['busy', 'at work, or cut short'],
  ended: ['good', 'done'],
  interrupted: ['warning', 'interrupted'],
};

function OneAct({ act }: { act: Act }) {
  const { what, about, who, at, why, wasEdited, keys, end, stream, sequence } = act;
  const failed = keys.filter(({ error }) => error !== '').length;
  const [tone, text] = ends[end] ?? [];
  return (
    <li className="card">
      <div className="letter-head">
        <strong>
          {what}
          {wasEdited && ' as edited'}
        </strong>
        <span className="breaks">{about}</span>
        {tone !== undefined && <Badge tone={tone}>{text}</Badge>}
        {failed > 0 && <Badge tone="bad">{counted(failed, 'key')} failed again</Badge>}
      </div>
      <p className="muted">
        {who}, <Moment at={at} /> <Link href={`/events/${stream}/${sequence}`}>on record</Link>
      </p>
      <p>{why === '' ? <span className="muted">No reason was given.</span> : why}</p>
      {keys.length > 0 && (
        <details>
          <summary>What came of {counted(keys.length, 'key')}</summary>
          <ul className="plain">
            {keys.map(({ consumer, key, text: outcome, error }) => (
              <li key={`${consumer} ${key} ${outcome}`}>
                <span className="mono breaks">{key}</span> <span className="muted breaks">{consumer}</span>: {outcome}
                {error !== '' && <div className="wrong breaks">{error}</div>}
              </li>
            ))}
          </ul>
        </details>
      )}
    </li>
  );
}
