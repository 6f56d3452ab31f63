import type { Check } from '#kit/installation/diagnosis.ts';

/** Stock is no view, and only the inventory knows it. To compare it with the journal takes time for each event. */
export const stockCheck: Check = {
  name: 'stock',
  ok: '',
  look: () => [
    {
      severity: 'unknown',
      subject: 'inventory',
      message: 'whether the stock agrees with its journal is not looked at here, because it takes long',
      remedy: '`causeway audit` compares them; docs/operating.md says how the stock is made anew.',
    },
  ],
};
