import type { Doors } from '../platform.ts';
import type { FuzzCase } from './fuzz-case.ts';
import { type Answer, Sender } from './send.ts';

/** A case that was not answered as it should be. */
export type Finding = { fuzzCase: FuzzCase; answer: Answer; why: string };

export type Fuzzed = { findings: Finding[]; answers: Map<string, number>; slowestMs: number };

export type FuzzOptions = {
  /** At work at the same time. */
  atOnce: number;
  /** What stands for a token in a case, by its name in braces. */
  tokens: Record<string, string>;
  /** Whether there is still somebody to answer; asked between cases. */
  isAlive(): boolean;
  /** Called between cases, with how many have been answered. */
  onProgress?(answered: number): Promise<void>;
};

/** The server did what nobody foresaw. */
const OURS = new Set(['INTERNAL', 'UNKNOWN', 'DATA_LOSS']);
/** Nothing is away while doors are fuzzed. */
const AWAY = 'UNAVAILABLE';
/** What is inside: a stack, a file, the name of a part or of a class of errors. */
const INSIDE =
  /\n\s+at |\bat [\w.<>]+ \(|file:\/\/|node_modules|node:internal|\.[jt]s:\d+|\b[A-Z]\w+Error\b|[Mm]ongo|\bnats\b|JetStream|\bECONN|\bENOENT|\bEPIPE|\bERR_[A-Z]|\[object |undefined/;
const MAX_FINDINGS = 200;

/** Sends each case, many at a time, and looks at what comes back. */
export async function fuzz(doors: Doors, cases: Iterable<FuzzCase>, options: FuzzOptions): Promise<Fuzzed> {
  const sender = new Sender(doors, options.tokens);
  const fuzzed: Fuzzed = { findings: [], answers: new Map(), slowestMs: 0 };
  const left = cases[Symbol.iterator]();
  let answered = 0;
  const work = async () => {
    for (let next = left.next(); next.done !== true && options.isAlive(); next = left.next()) {
      const answer = await sender.send(next.value);
      const kind = answer.code ?? `${answer.status ?? answer.outcome}`;
      fuzzed.answers.set(kind, (fuzzed.answers.get(kind) ?? 0) + 1);
      fuzzed.slowestMs = Math.max(fuzzed.slowestMs, answer.ms);
      const why = whyBad(answer);
      if (why !== undefined && fuzzed.findings.length < MAX_FINDINGS) {
        fuzzed.findings.push({ fuzzCase: next.value, answer, why });
      }
      await options.onProgress?.(++answered);
    }
  };
  try {
    await Promise.all(Array.from({ length: options.atOnce }, work));
  } finally {
    sender.close();
  }
  return fuzzed;
}

/** What is wrong with an answer; undefined: nothing. */
export function whyBad({ outcome, status = 200, code, said }: Answer): string | undefined {
  if (outcome === 'late') return 'no answer';
  if (code !== undefined && OURS.has(code)) return `the code is ${code}`;
  if (code === AWAY) return `${AWAY}, and nothing is`;
  if (status >= 500 && status !== 501 && status !== 505 && code === undefined) return `the status is ${status}`;
  const isRefused = status >= 400 || (code !== undefined && code !== 'OK');
  const inside = isRefused ? INSIDE.exec(said)?.[0] : undefined;
  return inside === undefined ? undefined : `it shows what is inside: ${JSON.stringify(inside)}`;
}
