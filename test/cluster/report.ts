import type { Step } from './steps.ts';
import type { Figures } from './tally.ts';
import type { Verdict } from './verify.ts';

export type StepResult = {
  title: string;
  figures: Figures;
  /** What was not as it must be. */
  problems: string[];
  line: string;
};

const MAX_PROBLEMS = 50;
/** What clients try again by themselves. */
const UNAVAILABLE = /^UNAVAILABLE/;

/** @param isTunnel a tunnel ends with its gateway, so that connections are lost that would not be. */
export function resultOf(
  { title, isCalm }: Pick<Step, 'title' | 'isCalm'>,
  figures: Figures,
  isTunnel: boolean,
): StepResult {
  const failures = [...figures.failures].map(([what, count]) => `${title}: ${what} (${count} times)`);
  const notCalm = [...figures.retries].filter(
    ([code]) => isCalm && !UNAVAILABLE.test(code) && !(isTunnel && code === 'CONNECTION'),
  );
  const problems = [...failures, ...notCalm.map(([code, count]) => `${title}: ${count} requests were told ${code}`)];
  const retries = [...figures.retries].map(([code, count]) => `${count} ${code}`).join(', ') || 'no retry';
  const said = [
    `${Math.round(figures.seconds)} s`,
    `${figures.answered} answered, ${figures.orders} orders, ${figures.watches} watched`,
    retries,
    `longest gap ${Math.round(figures.longestGapMs)} ms, slowest ${Math.round(figures.slowestMs)} ms`,
  ];
  const verdict = problems.length === 0 ? 'ok  ' : 'FAIL';
  return { title, figures, problems, line: [`${verdict} ${title}: ${said.join('; ')}`, ...problems].join('\n  ') };
}

/** All of it as a table, and what was not as it must be. */
export function summary(results: readonly StepResult[], verdict: Verdict, problems: readonly string[]): string {
  const rows = results.map(({ title, figures, problems: found }) => [
    title,
    `${Math.round(figures.seconds)}`,
    `${figures.answered}`,
    `${figures.orders}`,
    `${sum(figures.retries)}`,
    `${sum(figures.failures)}`,
    `${Math.round(figures.longestGapMs)}`,
    `${Math.round(figures.slowestMs)}`,
    found.length === 0 ? 'ok' : 'FAILED',
  ]);
  const head = ['step', 'seconds', 'answered', 'orders', 'retries', 'failures', 'longest gap ms', 'slowest ms', ''];
  const outcomes = [...verdict.outcomes].map(([outcome, count]) => `${count} ${outcome}`).join(', ');
  return [
    '',
    ...aligned([head, ...rows]),
    '',
    `${verdict.orders} orders at rest after ${Math.round(verdict.settleSeconds)} s: ${outcomes}`,
    problems.length === 0 ? 'Everything is as it must be.' : `${problems.length} things are not as they must be:`,
    ...problems.slice(0, MAX_PROBLEMS).map((problem) => `- ${problem}`),
    ...(problems.length > MAX_PROBLEMS ? [`- and ${problems.length - MAX_PROBLEMS} more`] : []),
    '',
  ].join('\n');
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((total, count) => total + count, 0);
}

function aligned(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
