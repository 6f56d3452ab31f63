import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { Aggregate } from './decider.ts';

/** Takes a caller's request id for a request about one thing (its id), so that it can't be used for another. */
export type UseRequestId = { type: 'UseRequestId'; about: string };

export type RequestId = { status: 'Unused' } | { status: 'Used'; about: string };

/** Its event, and its stored state, have one field: the id of what the request was about. */
type RequestIdUsed<Field extends string> = { type: 'RequestIdUsed' } & { [Name in Field]: string };

type RequestIdWords<Field extends string, StateType extends DescMessage> = {
  /** What both messages call the id, such as `orderId`. */
  field: Field;
  event: DescMessage;
  state: StateType;
  /** What the request that came first was about, such as `order 17`: the end of what a refusal says. */
  told(about: string): string;
};

/**
 * The aggregate `request`: an aggregate knows of its own requests only, so what ties a request id to one of them is an
 * aggregate of its own. Its key is made from the caller and the request id.
 */
export function requestIdAggregate<Field extends string, StateType extends DescMessage>({
  field,
  event,
  state,
  told,
}: RequestIdWords<Field, StateType>): Aggregate<UseRequestId, RequestId, RequestIdUsed<Field>, StateType> {
  const saying = (about: string) => ({ [field]: about }) as { [Name in Field]: string };
  return {
    name: 'request',
    decider: {
      initialState: { status: 'Unused' },
      decide({ about }, before) {
        if (before.status === 'Unused') return { type: 'RequestIdUsed', ...saying(about) };
        if (before.about === about) return undefined;
        return {
          refused: 'ALREADY_EXISTS',
          reason: 'REQUEST_DIFFERS',
          message: `the request was made before, for ${told(before.about)}`,
        };
      },
      evolve: (_, used) => ({ status: 'Used', about: used[field] }),
    },
    events: { RequestIdUsed: event } as { [Type in RequestIdUsed<Field>['type']]: DescMessage },
    state: {
      type: state,
      version: 1,
      encode: (after) => (after.status === 'Used' ? saying(after.about) : {}) as MessageInitShape<StateType>,
      decode: (message: MessageShape<StateType>) => {
        const about = (message as unknown as Record<Field, string>)[field];
        return about === '' ? { status: 'Unused' } : { status: 'Used', about };
      },
    },
  };
}
