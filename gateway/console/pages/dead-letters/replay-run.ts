import type { MessageInitShape } from '@bufbuild/protobuf';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import type {
  ReplayDeadLettersRequestSchema,
  ReplayDeadLettersResponse,
} from '#gen/causeway/operations/v1/operations_service_pb.js';
import { operations } from '../../connection.ts';

/** Outcomes that are kept to be shown: failures before others. */
const MAX_SHOWN = 100;

export type Run = {
  /** `ready`: nothing was asked for. `stopped`: by the operator. */
  is: 'ready' | 'running' | 'ended' | 'stopped' | 'failed';
  wasDryRun: boolean;
  keysDone: number;
  keysTotal: number;
  handled: number;
  failed: number;
  /** The latest of each kind. */
  failures: readonly ReplayDeadLettersResponse[];
  successes: readonly ReplayDeadLettersResponse[];
  error: unknown;
};

const READY: Run = {
  is: 'ready',
  wasDryRun: false,
  keysDone: 0,
  keysTotal: 0,
  handled: 0,
  failed: 0,
  failures: [],
  successes: [],
  error: undefined,
};

/** A replay with its progress. It ends with the part of the page that uses it: nothing goes on unseen. */
export function useReplay() {
  const [run, setRun] = useState(READY);
  const ended = useRef<AbortController>(undefined);
  const queries = useQueryClient();
  useEffect(() => () => ended.current?.abort(), []);

  const start = async (request: MessageInitShape<typeof ReplayDeadLettersRequestSchema>) => {
    ended.current?.abort();
    const mine = new AbortController();
    ended.current = mine;
    // With the same request id, what an earlier one did is told first.
    setRun({ ...READY, is: 'running', wasDryRun: request.dryRun ?? false });
    const end = (is: Run['is'], error?: unknown) => setRun((before) => ({ ...before, is, error }));
    try {
      for await (const outcome of operations.replayDeadLetters(request, { signal: mine.signal })) {
        setRun((before) => withOutcome(before, outcome));
      }
      end('ended');
    } catch (error) {
      if (mine.signal.aborted) end('stopped');
      else end('failed', error);
    } finally {
      // What is parked is another now, and the record has an act more.
      if (request.dryRun !== true) await queries.invalidateQueries();
    }
  };
  return { run, start, stop: () => ended.current?.abort() };
}

function withOutcome(run: Run, outcome: ReplayDeadLettersResponse): Run {
  const { keysDone, keysTotal, handled, error } = outcome;
  const hasFailed = error !== '' && !run.wasDryRun;
  const kept = (before: readonly ReplayDeadLettersResponse[]) => [outcome, ...before].slice(0, MAX_SHOWN);
  return {
    ...run,
    keysDone,
    keysTotal,
    handled: run.handled + handled,
    failed: run.failed + (hasFailed ? 1 : 0),
    ...(hasFailed ? { failures: kept(run.failures) } : { successes: kept(run.successes) }),
  };
}
