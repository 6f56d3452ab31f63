import type { Decider } from '#kit/decider.ts';

export type ErasureEvent =
  | { type: 'CustomerErasureRequested'; customerId: string; note: string; keyIds: string[] }
  | { type: 'PersonalDataErased'; owner: string; keyIds: string[] };

export type ErasureCommand =
  | { type: 'RequestErasure'; customerId: string; note: string; keyIds: string[] }
  | { type: 'TellErased'; owner: string; keyIds: string[] };

/** Open: it was asked for, and not told since that the keys are destroyed. */
export type Erasure = { isOpen: boolean };

/**
 * The erasures of a customer. Each is recorded before a key is destroyed, and told when all are. A customer that comes back
 * can be erased again; and so can one that is erased, where something was restored from a backup.
 */
export const erasure: Decider<ErasureCommand, Erasure, ErasureEvent> = {
  initialState: { isOpen: false },

  decide(command) {
    switch (command.type) {
      case 'RequestErasure':
        return { ...command, type: 'CustomerErasureRequested' };
      case 'TellErased':
        return { ...command, type: 'PersonalDataErased' };
      default:
        return command satisfies never;
    }
  },

  evolve(_, { type }) {
    return { isOpen: type === 'CustomerErasureRequested' };
  },
};
