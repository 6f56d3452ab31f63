import { useEffect, useRef, useState } from 'react';
import type { LoggedEvent } from '#gen/causeway/operations/v1/log_pb.js';
import { operations } from '../../connection.ts';
import { type StreamState, useStream } from '../../parts/stream.ts';
import { type LogFilter, requestOf } from './log-filter.ts';

/** Events that are kept; older ones are in the log. */
const MAX_EVENTS = 300;
/** What has come is shown together: the page is not drawn for each event. */
const SHOW_MS = 250;

export type Followed = StreamState & {
  /** The newest first. */
  events: readonly LoggedEvent[];
  /** Came while it was paused, and are not shown yet. */
  waiting: number;
  /** Events that came too fast, and are not among them. */
  skipped: number;
};

/** Follows the events that fit a filter, from now on. While it is paused, what comes waits. */
export function useFollowed(filter: LogFilter, isPaused: boolean): Followed {
  const [shown, setShown] = useState<{ events: readonly LoggedEvent[]; skipped: number }>({ events: [], skipped: 0 });
  const [waiting, setWaiting] = useState(0);
  const came = useRef({ events: [] as LoggedEvent[], skipped: 0 });
  const state = useStream(
    JSON.stringify(filter),
    (signal) => operations.watchEvents({ filter: requestOf(filter) }, { signal }),
    ({ event, skipped }) => {
      came.current.skipped += Number(skipped);
      if (event === undefined) return;
      came.current.events.push(event);
      // Who pauses for long finds the others in the log.
      if (came.current.events.length > MAX_EVENTS) came.current.skipped += came.current.events.splice(0, 1).length;
    },
  );
  useEffect(() => {
    const timer = setInterval(() => {
      setWaiting(isPaused ? came.current.events.length : 0);
      if (isPaused || (came.current.events.length === 0 && came.current.skipped === 0)) return;
      const { events, skipped } = came.current;
      came.current = { events: [], skipped: 0 };
      setShown((before) => ({
        events: [...events.toReversed(), ...before.events].slice(0, MAX_EVENTS),
        skipped: before.skipped + skipped,
      }));
    }, SHOW_MS);
    return () => clearInterval(timer);
  }, [isPaused]);
  return { ...state, ...shown, waiting };
}
