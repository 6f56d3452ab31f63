/** A server that was started beside the platform, on this machine. */
export type LocalServer = {
  url: string;
  /** Where it came from, for people: "nats-server on the PATH (v2.15.2)". */
  choice: string;
  pid: number;
  /** Resolves when it has ended, for whatever reason. */
  ended: Promise<void>;
  /** Ends it as a crash would. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Ends it in order; by force after some seconds. */
  stop(): Promise<void>;
};
