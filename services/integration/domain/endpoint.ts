import type { Decider, Refusal } from '#kit/decider.ts';

export type EndpointEvent =
  | { type: 'EndpointCreated'; endpointId: string; url: string; types: string[]; secret: string }
  | { type: 'EndpointEnabled'; endpointId: string }
  | { type: 'EndpointDisabled'; endpointId: string; reason: string };

export type EndpointCommand =
  | { type: 'CreateEndpoint'; endpointId: string; url: string; types: string[]; secret: string }
  | { type: 'EnableEndpoint'; endpointId: string }
  | { type: 'DisableEndpoint'; endpointId: string; reason: string };

/** The secret is empty once its key was destroyed. */
export type Endpoint =
  | { status: 'None' }
  | { status: 'Enabled' | 'Disabled'; url: string; types: string[]; secret: string };

export const endpoint: Decider<EndpointCommand, Endpoint, EndpointEvent> = {
  initialState: { status: 'None' },

  decide(command, state) {
    const { endpointId } = command;
    switch (command.type) {
      case 'CreateEndpoint':
        return state.status === 'None' ? { ...command, type: 'EndpointCreated' } : taken(endpointId);
      case 'EnableEndpoint':
        if (state.status === 'None') return unknown(endpointId);
        return state.status === 'Enabled' ? undefined : { type: 'EndpointEnabled', endpointId };
      case 'DisableEndpoint':
        if (state.status === 'None') return unknown(endpointId);
        return state.status === 'Disabled'
          ? undefined
          : { type: 'EndpointDisabled', endpointId, reason: command.reason };
      default:
        return command satisfies never;
    }
  },

  evolve(state, event) {
    switch (event.type) {
      case 'EndpointCreated':
        return { status: 'Enabled', url: event.url, types: event.types, secret: event.secret };
      case 'EndpointEnabled':
        return state.status === 'None' ? state : { ...state, status: 'Enabled' };
      case 'EndpointDisabled':
        return state.status === 'None' ? state : { ...state, status: 'Disabled' };
      default:
        return event satisfies never;
    }
  },
};

function unknown(endpointId: string): Refusal {
  return { refused: 'NOT_FOUND', reason: 'ENDPOINT_UNKNOWN', message: `there is no endpoint ${endpointId}` };
}

function taken(endpointId: string): Refusal {
  return {
    refused: 'ALREADY_EXISTS',
    reason: 'ENDPOINT_EXISTS',
    message: `there is an endpoint ${endpointId} already`,
  };
}
