/** Who calls, as its token says. */
export type Caller = { subject: string; role: 'customer' | 'operator' | 'nobody' };

/** Who calls what is open without a token. No token has an empty subject. */
export const NOBODY: Caller = { subject: '', role: 'nobody' };

/** What a method knows of the call beside its request. The same on every protocol. */
export type Call = {
  caller: Caller;
  /** The header `authorization` as it came in, to be passed on to a service in another process. */
  authorization: string;
  /** Joins everything that follows from one act of a caller; taken from the header x-correlation-id, else made up. */
  correlationId: string;
  /** Aborted when the client goes away or its deadline passes. */
  signal: AbortSignal;
  /** When the client stops waiting, in milliseconds since 1970; undefined where it set no deadline. */
  deadline: number | undefined;
};
