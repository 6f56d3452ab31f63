import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  type EndpointCreated,
  EndpointCreatedSchema,
  type EndpointDisabled,
  EndpointDisabledSchema,
  type EndpointEnabled,
  EndpointEnabledSchema,
} from '#gen/causeway/webhooks/v1/events_pb.js';
import { type Endpoint, EndpointSchema } from '#gen/causeway/webhooks/v1/webhooks_service_pb.js';
import { EventTypes } from '#kit/event.ts';
import { journalOf } from '#kit/streams.ts';
import type { Stored, View } from '#kit/view.ts';
import type { ViewReader } from '#kit/view-reader.ts';

/** An endpoint as operators read it. Its secret is not in it. */
export type EndpointDocument = {
  url: string;
  types: string[];
  enabled: boolean;
  disabledReason: string;
  createdAt: Date;
  version: number;
};

export const endpointsView: View<EndpointDocument, EndpointCreated | EndpointEnabled | EndpointDisabled> = {
  name: 'endpoints',
  version: 1,
  sources: [{ journal: journalOf('webhooks'), aggregate: 'endpoint' }],
  types: new EventTypes([EndpointCreatedSchema, EndpointEnabledSchema, EndpointDisabledSchema]),
  project(endpoint, { data, time, version }) {
    switch (data.$typeName) {
      case 'causeway.webhooks.v1.EndpointCreated':
        return { url: data.url, types: data.types, enabled: true, disabledReason: '', createdAt: time, version };
      case 'causeway.webhooks.v1.EndpointEnabled':
        return endpoint && { ...endpoint, enabled: true, disabledReason: '', version };
      default:
        return endpoint && { ...endpoint, enabled: false, disabledReason: data.reason, version };
    }
  },
};

/** Every endpoint, the oldest first. Operators make them, so there are few. */
export async function listEndpoints({ query }: ViewReader<EndpointDocument>): Promise<Stored<EndpointDocument>[]> {
  // Checkpoints stand in the same collection, and have no revision.
  return (await query((documents) =>
    documents
      .find({ revision: { $gte: 1 } } as object)
      .sort({ createdAt: 1, _id: 1 })
      .toArray(),
  )) as Stored<EndpointDocument>[];
}

/** The endpoint as the API shows it. */
export function endpointMessage({ _id, createdAt, version, ...words }: Stored<EndpointDocument>): Endpoint {
  const { url, types, enabled, disabledReason } = words;
  return create(EndpointSchema, {
    endpointId: _id,
    url,
    types,
    enabled,
    disabledReason,
    createdAt: timestampFromDate(createdAt),
    version: BigInt(version),
  });
}
