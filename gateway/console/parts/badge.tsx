import type { ReactNode } from 'react';

/** How something is, at a glance. The word says it too: nothing is told by colour alone. */
export type Tone = 'good' | 'bad' | 'warning' | 'busy' | 'idle';

export function Badge({ tone, children }: { tone: Tone; children: ReactNode }) {
  return <span className={`badge ${tone}`}>{children}</span>;
}
