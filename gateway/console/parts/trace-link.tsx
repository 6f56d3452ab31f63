const address = document.querySelector<HTMLMetaElement>('meta[name="trace-url"]')?.content ?? '';

/** To a trace, where the installation says where traces are looked at. */
export function TraceLink({ traceId }: { traceId: string }) {
  if (address === '' || traceId === '') return null;
  return (
    <a href={address.replace('{trace_id}', encodeURIComponent(traceId))} target="_blank" rel="noreferrer">
      Trace
    </a>
  );
}
