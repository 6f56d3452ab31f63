import { create } from '@bufbuild/protobuf';
import { type Timestamp, timestampDate, timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  type EventFilter,
  GetEventResponseSchema,
  SearchEventsResponseSchema,
  WatchEventsResponseSchema,
} from '#gen/causeway/operations/v1/log_pb.js';
import type { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import type { Broker } from '#kit/broker.ts';
import { CallError, invalid, UnavailableError } from '#kit/errors.ts';
import { correlationOf, Header, type StoredMessage } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import { LiveEvents } from '#kit/live.ts';
import { journalStreams, type LogCursor, type LogFilter, searchLog } from '#kit/log-search.ts';
import type { Implementation } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';
import { loggedEvent, wholeLoggedEvent } from './logged-events.ts';

type LogMethods = Pick<Implementation<typeof OperationsService>, 'searchEvents' | 'getEvent' | 'watchEvents'>;

const DEFAULT_PAGE_SIZE = 20;
/** Of what events say on one page: clients read answers of up to 4 MB. */
const MAX_PAGE_BYTES = 2 * 1024 ** 2;
/** An answer comes within two seconds, and the last look takes a little longer. */
const SEARCH_MS = 1_300;

export type LogParts = { broker: Broker };

/** The log of all events, as the journals hold it. */
export function logMethods({ broker }: LogParts): LogMethods {
  return {
    async searchEvents({ filter, pageSize, pageToken }, call) {
      requireRole(call, 'operator');
      const { from, until } = filter ?? {};
      const looked: LogFilter = {
        ...(from === undefined ? {} : { from: timeIn(from, 'filter.from') }),
        ...(until === undefined ? {} : { until: timeIn(until, 'filter.until') }),
        ...(await followed(broker, filter)),
      };
      const limits = {
        count: pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize,
        bytes: MAX_PAGE_BYTES,
        searchMs: SEARCH_MS,
        signal: call.signal,
      };
      const page = await searchLog(broker, looked, pageToken === '' ? undefined : cursorIn(pageToken), limits);
      const backTo = page.searchedBackTo ?? looked.from;
      return create(SearchEventsResponseSchema, {
        events: page.found.map(loggedEvent),
        nextPageToken: tokenOf(page.next),
        scanned: BigInt(page.scanned),
        ...(backTo === undefined ? {} : { searchedBackTo: timestampFromDate(backTo) }),
      });
    },

    async getEvent({ stream, sequence }, call) {
      requireRole(call, 'operator');
      // Other streams hold what is no event, such as customers' keys.
      const isJournal = (await journalStreams(broker)).has(stream) && sequence <= BigInt(Number.MAX_SAFE_INTEGER);
      const found = isJournal ? await new Journal({ service: '', stream }, broker).at(Number(sequence)) : undefined;
      if (found === undefined) {
        throw new CallError('NOT_FOUND', `there is no event ${sequence} in ${stream}`, {
          reason: 'EVENT_UNKNOWN',
          metadata: { stream, sequence: String(sequence) },
        });
      }
      return create(GetEventResponseSchema, { event: wholeLoggedEvent(found) });
    },

    async *watchEvents({ filter }, call) {
      requireRole(call, 'operator');
      const { streams, matches = () => true, ...place } = await followed(broker, filter);
      const isChosen = (message: StoredMessage) => (streams?.includes(message.stream) ?? true) && matches(message);
      let skipped = 0;
      for await (const live of new LiveEvents(broker, { ...place, matches: isChosen }, call.signal)) {
        if (!('missed' in live)) {
          yield create(WatchEventsResponseSchema, { event: loggedEvent(live), skipped: BigInt(skipped) });
          skipped = 0;
          continue;
        }
        // Nobody knows what was stored meanwhile: who watches has to look, and to begin again.
        if (live.missed === undefined) throw new UnavailableError('the broker was away: events may have been missed');
        skipped += live.missed;
      }
    },
  };
}

type Followed = Pick<LogFilter, 'streams' | 'aggregate' | 'key' | 'matches'>;

/** @throws CallError INVALID_ARGUMENT for a stream that is no journal. */
async function followed(broker: Broker, filter: EventFilter | undefined): Promise<Followed> {
  const { streams = [], type = '', aggregate = '', key = '', correlationId = '' } = filter ?? {};
  const journals = streams.length === 0 ? undefined : await journalStreams(broker);
  for (const [index, stream] of streams.entries()) {
    if (journals?.has(stream) === false) throw invalid(`filter.streams[${index}]`, `${stream} is no journal`);
  }
  return {
    ...(streams.length === 0 ? {} : { streams }),
    ...(aggregate === '' ? {} : { aggregate }),
    ...(key === '' ? {} : { key }),
    matches: (message) =>
      (type === '' || isOfType(message, type)) && (correlationId === '' || correlationOf(message) === correlationId),
  };
}

function timeIn(time: Timestamp, field: string): Date {
  const date = timestampDate(time);
  if (Number.isNaN(date.getTime())) throw invalid(field, 'is no time');
  return date;
}

/** By its full name, or its last part. */
function isOfType({ headers }: StoredMessage, type: string): boolean {
  const name = headers.get(Header.type);
  return name === type || name.endsWith(`.${type}`);
}

function tokenOf(cursor: LogCursor): string {
  const places = [...cursor].map(([stream, below]) => `${stream}:${below}`);
  return Buffer.from(places.join(' ')).toString('base64url');
}

function cursorIn(token: string): LogCursor {
  const places = Buffer.from(token, 'base64url').toString().split(' ');
  return new Map(
    places.map((place) => {
      const [, stream, below] = /^([A-Za-z0-9_-]+):([1-9]\d{0,15})$/.exec(place) ?? [];
      if (stream === undefined) throw invalid('page_token', 'is not a token of this search');
      return [stream, Number(below)];
    }),
  );
}
