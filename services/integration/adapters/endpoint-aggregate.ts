import {
  EndpointCreatedSchema,
  EndpointDisabledSchema,
  EndpointEnabledSchema,
} from '#gen/causeway/webhooks/v1/events_pb.js';
import { EndpointStateSchema } from '#gen/causeway/webhooks/v1/state_pb.js';
import type { Aggregate } from '#kit/decider.ts';
import { journalOf } from '#kit/streams.ts';
import { type Endpoint, type EndpointCommand, type EndpointEvent, endpoint } from '../domain/endpoint.ts';

export const webhooksJournal = journalOf('webhooks');

/** An endpoint's forms on the wire. Its secret is sealed like personal data, and its owner is the endpoint. */
export const endpointAggregate: Aggregate<EndpointCommand, Endpoint, EndpointEvent, typeof EndpointStateSchema> = {
  name: 'endpoint',
  decider: endpoint,
  events: {
    EndpointCreated: EndpointCreatedSchema,
    EndpointEnabled: EndpointEnabledSchema,
    EndpointDisabled: EndpointDisabledSchema,
  },
  state: {
    type: EndpointStateSchema,
    version: 1,
    encode: (state) => {
      if (state.status === 'None') return {};
      const { status, ...words } = state;
      return { ...words, enabled: status === 'Enabled' };
    },
    decode: ({ url, types, secret, enabled }) =>
      url === '' ? { status: 'None' } : { status: enabled ? 'Enabled' : 'Disabled', url, types, secret },
  },
};
