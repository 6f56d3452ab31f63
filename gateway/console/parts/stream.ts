import { useEffect, useRef, useState } from 'react';
import { endSession, isPassing } from '../connection.ts';

/** How a followed stream is. */
export type StreamState = { isLive: boolean; error: unknown };

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 10_000;

/**
 * Follows a server stream for as long as the part of the page that uses it is there; after an interruption it begins
 * again. `open` and `onMessage` may change with each drawing; the stream begins anew only when `key` does.
 */
export function useStream<Message>(
  key: string,
  open: (signal: AbortSignal) => AsyncIterable<Message>,
  onMessage: (message: Message) => void,
): StreamState {
  const [state, setState] = useState<StreamState>({ isLive: false, error: undefined });
  const latest = useRef({ open, onMessage });
  latest.current = { open, onMessage };
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key says what is followed.
  useEffect(() => {
    const ended = new AbortController();
    void follow(ended.signal, latest, setState);
    return () => ended.abort();
  }, [key]);
  return state;
}

type Latest<Message> = {
  current: { open: (signal: AbortSignal) => AsyncIterable<Message>; onMessage: (message: Message) => void };
};

async function follow<Message>(
  ended: AbortSignal,
  latest: Latest<Message>,
  setState: (state: StreamState) => void,
): Promise<void> {
  let waitMs = RETRY_MIN_MS;
  while (!ended.aborted) {
    try {
      for await (const message of latest.current.open(ended)) {
        if (ended.aborted) return;
        setState({ isLive: true, error: undefined });
        latest.current.onMessage(message);
        waitMs = RETRY_MIN_MS;
      }
    } catch (error) {
      if (ended.aborted) return;
      setState({ isLive: false, error });
      endSession(error);
      if (!isPassing(error)) return;
    }
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    waitMs = Math.min(waitMs * 2, RETRY_MAX_MS);
  }
}
