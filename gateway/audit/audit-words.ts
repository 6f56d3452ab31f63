import type { Audit } from './audit.ts';

/** What the audit of all journals has found. */
export function auditWords({ orders, events, problems, problemCount, waiting }: Audit): string {
  const total = [...events.values()].reduce((sum, count) => sum + count, 0);
  const streams = [...events].map(([stream, count]) => `${stream} ${count}`).join(', ');
  const waits = [...waiting].map(([what, ids]) => `${ids.length} orders wait for ${what}, ${ids[0]} among them`);
  const ended = waiting.size === 0 ? 'every order ended once' : 'every other order ended once';
  const good = `${ended}; stock and money are conserved; nothing happened twice; every version follows its last`;
  const left = problemCount - problems.length;
  return [
    `${total} events of ${orders} orders (${streams})`,
    ...waits,
    ...(problemCount === 0 ? [good] : [`${problemCount} problems:`, ...problems.map((problem) => `  ${problem}`)]),
    ...(left === 0 ? [] : [`  and ${left} more`]),
  ].join('\n');
}
