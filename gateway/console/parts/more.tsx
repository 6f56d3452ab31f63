/** As much of a query in pages as is used. */
type Paged = { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown };

/** Asks for the next page, where there is one. */
export function More({ query, children = 'Show more' }: { query: Paged; children?: string }) {
  if (!query.hasNextPage) return null;
  return (
    <div className="more">
      <button type="button" disabled={query.isFetchingNextPage} onClick={() => query.fetchNextPage()}>
        {query.isFetchingNextPage ? 'Loading…' : children}
      </button>
    </div>
  );
}
