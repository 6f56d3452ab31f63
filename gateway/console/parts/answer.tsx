import type { ReactNode } from 'react';
import { Failure } from './failure.tsx';

/** As much of a query as is shown. */
type Asked<Data> = {
  data: Data | undefined;
  error: Error | null;
  isPending: boolean;
  refetch: () => unknown;
};

/**
 * What became of a query: loading, failed, empty, or its answer. An answer that is there stays, with the failure above
 * it, when a later one could not be had.
 */
export function Answer<Data>({ query, empty, isEmpty, children }: Parts<Data>) {
  const { data, error, isPending, refetch } = query;
  if (data === undefined) {
    if (error !== null) return <Failure error={error} again={refetch} />;
    return isPending ? <Loading /> : null;
  }
  return (
    <>
      {error !== null && <Failure error={error} again={refetch} />}
      {isEmpty?.(data) === true ? <Empty>{empty}</Empty> : children(data)}
    </>
  );
}

type Parts<Data> = {
  query: Asked<Data>;
  /** Said where there is nothing. */
  empty?: ReactNode;
  isEmpty?: (data: Data) => boolean;
  children: (data: Data) => ReactNode;
};

export function Loading() {
  return (
    <div className="state" role="status">
      <span className="spinner" aria-hidden="true" /> Loading…
    </div>
  );
}

export function Empty({ children }: { children: ReactNode }) {
  return <div className="state">{children}</div>;
}
