/** A timer of more milliseconds would be over at once. */
const LONGEST_MS = 2 ** 31 - 1;
const MS_BY_UNIT: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** The header grpc-timeout, or the longest one that a timer can have. What is none stays as it is. */
export function boundedGrpcTimeout(header: string): string {
  const [, amount, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(header) ?? [];
  // A call that is over before it is read would be answered by what goes wrong then.
  if (Number(amount) === 0) return '1m';
  return Number(amount) * (MS_BY_UNIT[unit] ?? 0) > LONGEST_MS ? `${Math.floor(LONGEST_MS / 60_000)}M` : header;
}

/** The header connect-timeout-ms, or the longest one that a timer can have. What is none stays as it is. */
export function boundedConnectTimeout(header: string): string {
  return Number(header) > LONGEST_MS ? String(LONGEST_MS) : header;
}
