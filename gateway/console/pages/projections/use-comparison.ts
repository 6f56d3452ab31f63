import { useEffect, useState } from 'react';
import type { CompareProjectionResponse } from '#gen/causeway/operations/v1/projections_pb.js';
import { operations } from '../../connection.ts';

export type Comparison = { latest: CompareProjectionResponse | undefined; isOver: boolean; error: unknown };

const BEGUN: Comparison = { latest: undefined, isOver: false, error: undefined };

/** A comparison with its progress. It ends with the part of the page that uses it; `again` begins a new one. */
export function useComparison(service: string, view: string, build: number): Comparison & { again: () => void } {
  const [comparison, setComparison] = useState(BEGUN);
  const [attempt, setAttempt] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt compares once more.
  useEffect(() => {
    const ended = new AbortController();
    const run = async () => {
      setComparison(BEGUN);
      try {
        for await (const latest of operations.compareProjection({ service, view, build }, { signal: ended.signal })) {
          setComparison({ ...BEGUN, latest });
        }
        setComparison((before) => ({ ...before, isOver: true }));
      } catch (error) {
        if (!ended.signal.aborted) setComparison((before) => ({ ...before, error }));
      }
    };
    void run();
    return () => ended.abort();
  }, [service, view, build, attempt]);
  return { ...comparison, again: () => setAttempt((before) => before + 1) };
}
