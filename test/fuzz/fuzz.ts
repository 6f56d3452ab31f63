import { join } from 'node:path';
import type { Doors } from '../platform.ts';
import type { FuzzCase } from './fuzz-case.ts';
import { mayBeClosed } from './may-be-closed.ts';
import { type Answer, Sender } from './send.ts';

/** A case that was not answered as it should be. */
export type Finding = { fuzzCase: FuzzCase; answer: Answer; why: string };

export type Fuzzed = {
  findings: Finding[];
  answers: Map<string, number>;
  slowest: { ms: number; name: string };
  /** Sent once more, since it came too late or something was away. */
  again: Map<string, number>;
};

export type FuzzOptions = {
  /** At work at the same time. */
  atOnce: number;
  /** What stands for a token in a case, by its name in braces. */
  tokens: Record<string, string>;
  /** Whether there is still somebody to answer; asked between cases. */
  isAlive(): boolean;
  /** Called between cases, with how many have been answered, and what came of them so far. */
  onProgress?(answered: number, soFar: Fuzzed): Promise<void>;
  /** Called with each finding, as it is found. */
  onFinding?(finding: Finding): void;
};

/** The server did what nobody foresaw. */
const OURS = new Set(['INTERNAL', 'UNKNOWN', 'DATA_LOSS']);
/** Nothing is away while doors are fuzzed. */
const AWAY = 'UNAVAILABLE';
/** Where this project is: a file of ours, whose name is told. */
const PROJECT = join(import.meta.dirname, '../..');
/** What is inside: a stack, the name of a part or of a class of errors. */
const INSIDE =
  /\n\s+at |\bat [\w.<>]+ \(|node_modules|node:internal|\.[jt]s:\d+|\b[A-Z]\w+Error\b|[Mm]ongo|\bnats\b|JetStream|\bECONN|\bENOENT|\bEPIPE|\bERR_[A-Z]|\[object /;
const MAX_FINDINGS = 200;
/** Of a busy machine: this share may be sent again; when it stands still for a moment, all that are at work may. */
const AGAIN_SHARE = 0.005;
const AGAIN_AT_LEAST = 100;

/** Sends each case, many at a time, and looks at what comes back. */
export async function fuzz(doors: Doors, cases: Iterable<FuzzCase>, options: FuzzOptions): Promise<Fuzzed> {
  const sender = new Sender(doors, options.tokens);
  const fuzzed: Fuzzed = { findings: [], answers: new Map(), slowest: { ms: 0, name: '' }, again: new Map() };
  const left = cases[Symbol.iterator]();
  let answered = 0;
  const work = async () => {
    for (let next = left.next(); next.done !== true && options.isAlive(); next = left.next()) {
      let answer = await sender.send(next.value);
      // A machine that is busy may be too late once.
      for (let again = 0; again < 2 && isTooLate(answer); again++) {
        count(fuzzed.again, kindOf(answer));
        answer = await sender.send(next.value);
      }
      const kind = kindOf(answer);
      count(fuzzed.answers, kind);
      if (answer.ms > fuzzed.slowest.ms)
        fuzzed.slowest = { ms: answer.ms, name: `${next.value.by} ${next.value.name}` };
      const why = whyBad(answer, next.value, kind);
      if (why !== undefined && fuzzed.findings.length < MAX_FINDINGS) {
        const finding = { fuzzCase: next.value, answer, why };
        fuzzed.findings.push(finding);
        options.onFinding?.(finding);
      }
      await options.onProgress?.(++answered, fuzzed);
    }
  };
  try {
    await Promise.all(Array.from({ length: options.atOnce }, work));
  } finally {
    sender.close();
  }
  return fuzzed;
}

/** How many of the answers may have come too late, or from something that was away, before they came in order. */
export function tooManyAgain({ again, answers }: Fuzzed): string | undefined {
  const sum = (counts: Map<string, number>) => [...counts.values()].reduce((total, each) => total + each, 0);
  const most = Math.max(AGAIN_AT_LEAST, sum(answers) * AGAIN_SHARE);
  return sum(again) > most ? `${sum(again)} were sent again: ${countsIn(again)}` : undefined;
}

/** `NOT_FOUND 12, OK 7`: the most frequent first. */
export function countsIn(counts: Map<string, number>): string {
  const ordered = [...counts].toSorted(([, a], [, b]) => b - a);
  return ordered.map(([kind, times]) => `${kind} ${times}`).join(', ');
}

function count(counts: Map<string, number>, kind: string): void {
  counts.set(kind, (counts.get(kind) ?? 0) + 1);
}

function kindOf({ code, status, outcome, ended }: Answer): string {
  return code ?? (status === undefined ? [outcome, ...(ended === undefined ? [] : [ended])].join(' ') : `${status}`);
}

function isTooLate({ outcome, code }: Answer): boolean {
  return outcome === 'late' || code === AWAY;
}

/** What is wrong with an answer; undefined: nothing. */
function whyBad(answer: Answer, fuzzCase: FuzzCase, kind: string): string | undefined {
  const { expected } = fuzzCase;
  const { outcome, status = 200, code, said } = answer;
  if (outcome === 'late') return 'no answer';
  if (code !== undefined && OURS.has(code)) return `the code is ${code}`;
  if (outcome === 'closed' && !mayBeClosed(fuzzCase)) return `it is ${kind}`;
  if (code === AWAY) return `${AWAY}, and nothing is`;
  if (status >= 500 && status !== 501 && status !== 505 && code === undefined) return `the status is ${status}`;
  if (expected !== undefined && expected !== kind) return `it is ${kind}, not ${expected}`;
  const isRefused = status >= 400 || (code !== undefined && code !== 'OK');
  const inside = said.includes(PROJECT) ? PROJECT : isRefused ? INSIDE.exec(said)?.[0] : undefined;
  return inside === undefined ? undefined : `it shows what is inside: ${JSON.stringify(inside)}`;
}
