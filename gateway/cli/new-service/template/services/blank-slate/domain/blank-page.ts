import type { Decider } from '#kit/decider.ts';

export type BlankPageEvent = { type: 'BlankPageAdded'; blankPageId: string; customerId: string; title: string };

export type AddBlankPage = { type: 'AddBlankPage'; blankPageId: string; customerId: string; title: string };

export type BlankPageCommand = AddBlankPage;

export type BlankPage = { status: 'None' } | { status: 'Added'; title: string };

export const blankPage: Decider<BlankPageCommand, BlankPage, BlankPageEvent> = {
  initialState: { status: 'None' },

  decide(command, state) {
    if (state.status === 'None') return { ...command, type: 'BlankPageAdded' };
    if (state.title === command.title) return undefined;
    return {
      refused: 'ALREADY_EXISTS',
      reason: 'BLANK_PAGE_EXISTS',
      message: `${command.blankPageId} was added before, as ${state.title}`,
    };
  },

  evolve(_, event) {
    return { status: 'Added', title: event.title };
  },
};
