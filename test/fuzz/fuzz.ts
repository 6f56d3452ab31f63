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
/** Nothing is away while doors are fuzzed; but who asks for a projection of a service that there is not hears that. */
const AWAY = 'UNAVAILABLE';
const MAY_BE_AWAY = /Projection/;
/** What is inside: a stack, a file, the name of a part or of a class of errors. */
const INSIDE =
  /\n\s+at |\bat [\w.<>]+ \(|file:\/\/|node_modules|node:internal|\.[jt]s:\d+|\b[A-Z]\w+Error\b|[Mm]ongo|\bnats\b|JetStream|\bECONN|\bENOENT|\bEPIPE|\bERR_[A-Z]|\[object /;
const MAX_FINDINGS = 200;

/** Sends each case, many at a time, and looks at what comes back. */
export async function fuzz(doors: Doors, cases: Iterable<FuzzCase>, options: FuzzOptions): Promise<Fuzzed> {
  const sender = new Sender(doors, options.tokens);
  const fuzzed: Fuzzed = { findings: [], answers: new Map(), slowestMs: 0 };
  const left = cases[Symbol.iterator]();
  let answered = 0;
  const work = async () => {
    for (let next = left.next(); next.done !== true && options.isAlive(); next = left.next()) {
      let answer = await sender.send(next.value);
      // A machine that is busy may be too late once.
      for (let again = 0; again < 2 && isTooLate(answer); again++) answer = await sender.send(next.value);
      const kind = kindOf(answer);
      fuzzed.answers.set(kind, (fuzzed.answers.get(kind) ?? 0) + 1);
      fuzzed.slowestMs = Math.max(fuzzed.slowestMs, answer.ms);
      const why = whyBad(answer, next.value, kind);
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

function kindOf({ code, status, outcome }: Answer): string {
  return code ?? `${status ?? outcome}`;
}

function isTooLate({ outcome, code }: Answer): boolean {
  return outcome === 'late' || code === AWAY;
}

/** What is wrong with an answer; undefined: nothing. */
function whyBad(answer: Answer, { name, expected }: FuzzCase, kind: string): string | undefined {
  const { outcome, status = 200, code, said } = answer;
  if (outcome === 'late') return 'no answer';
  if (code !== undefined && OURS.has(code)) return `the code is ${code}`;
  if (code === AWAY && !MAY_BE_AWAY.test(name)) return `${AWAY}, and nothing is`;
  if (status >= 500 && status !== 501 && status !== 505 && code === undefined) return `the status is ${status}`;
  if (expected !== undefined && expected !== kind) return `it is ${kind}, not ${expected}`;
  const isRefused = status >= 400 || (code !== undefined && code !== 'OK');
  const inside = isRefused ? INSIDE.exec(said)?.[0] : undefined;
  return inside === undefined ? undefined : `it shows what is inside: ${JSON.stringify(inside)}`;
}
