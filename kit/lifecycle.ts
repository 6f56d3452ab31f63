import type { Door } from './rpc/call.ts';

/** What a part of the platform says of itself. Not ready: it can't do its work now, for these reasons. */
export type Health = { ready: boolean; reasons: string[] };

/** A service as its composition root makes it: what it offers, and how it is started and stopped. */
export type Service = {
  name: string;
  doors: Door[];
  /** Ready to answer when it resolves. Rejects with a message for the operator. */
  start(): Promise<void>;
  /** Drains: takes nothing new, finishes what it holds, then closes. May be called in any state. */
  stop(): Promise<void>;
  health(): Promise<Health>;
};
