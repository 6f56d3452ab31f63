import { expect } from 'vitest';
import type { Decider, Refusal } from '#kit/decider.ts';

/** What a decider is expected to answer. */
export type Then<Event> = {
  thenEvent(event: Event): void;
  /** The message is for people, and not compared. */
  thenRefused(code: Refusal['refused'], reason: string): void;
  /** There is nothing left to do. */
  thenNothing(): void;
};

/** A sentence about a decider: given these events, when this command comes, then this is what it decides. */
export function given<Command, State, Event extends { type: string }>(
  decider: Decider<Command, State, Event>,
  ...events: NoInfer<Event>[]
): { when(command: Command): Then<Event> } {
  const state = events.reduce((before, event) => decider.evolve(before, event), decider.initialState);
  return {
    when: (command) => {
      const decided = decider.decide(command, state);
      return {
        thenEvent: (event) => expect(decided).toStrictEqual(event),
        thenRefused: (refused, reason) => expect(decided).toMatchObject({ refused, reason }),
        thenNothing: () => expect(decided).toBeUndefined(),
      };
    },
  };
}
