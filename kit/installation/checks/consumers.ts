import type { Check } from '../diagnosis.ts';

export const consumerChecks: readonly Check[] = [];
