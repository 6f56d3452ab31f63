import { DEAD_LETTERS } from '../../dead-letters.ts';
import { inWords } from '../consumer-trouble.ts';
import type { Check, Evidence } from '../diagnosis.ts';

/** Whoever looks once a day has seen it by then. */
const OLD_MS = 24 * 60 * 60 * 1_000;

export const deadLetterChecks: readonly Check[] = [
  {
    name: 'dead-letters',
    ok: 'nothing is parked',
    async look(evidence) {
      if (evidence.consumers === undefined) return undefined;
      const parked = new Map(
        evidence.consumers.consumers
          .filter(({ parkedMessages }) => parkedMessages > 0)
          .map(({ name, parkedKeys, parkedMessages }) => [name, { parkedKeys, parkedMessages }]),
      );
      return Promise.all(
        [...parked].map(async ([consumer, { parkedKeys, parkedMessages }]) => {
          const ageMs = await oldest(evidence, consumer);
          return {
            severity: ageMs > OLD_MS ? 'problem' : 'warning',
            subject: consumer,
            message: `parked: ${parkedMessages} of ${parkedKeys === 1 ? 'one key' : `${parkedKeys} keys`}, the oldest for ${inWords(ageMs)}; nothing of it goes on`,
            remedy: `\`causeway dead-letters list --consumer ${consumer}\` shows why; docs/how-to/handle-dead-letters.md says what to do.`,
          } as const;
        }),
      );
    },
  },
];

async function oldest({ broker, clock }: Evidence, consumer: string): Promise<number> {
  const query = { seq: 1, next_by_subj: `dead.${consumer}.*.*` };
  // The leader answers to "next by subject" too; the library's type leaves it out.
  const first = await broker.manager.streams.getMessage(DEAD_LETTERS, query as { seq: number });
  return first === null ? 0 : Math.max(0, clock().getTime() - first.time.getTime());
}
