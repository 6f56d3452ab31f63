import { randomBytes, randomUUID } from 'node:crypto';
import { create, type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf';
import {
  CreateEndpointRequestSchema,
  CreateEndpointResponseSchema,
  ListDeliveriesResponseSchema,
  ListEndpointsResponseSchema,
  SetEndpointEnabledRequestSchema,
  SetEndpointEnabledResponseSchema,
  WebhookService,
} from '#gen/causeway/webhooks/v1/webhooks_service_pb.js';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import { CallError, invalid } from '#kit/errors.ts';
import type { Projection } from '#kit/projection.ts';
import type { Call } from '#kit/rpc/call.ts';
import { type Door, door } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';
import { uuidsIn } from '#kit/uuid.ts';
import type { Endpoint, EndpointCommand } from '../domain/endpoint.ts';
import type { RequestIdUsed } from '../domain/publication.ts';
import { publicTypes } from '../reactions/request-deliveries.ts';
import { type DeliveryDocument, deliveryMessage, listDeliveries } from '../views/deliveries/deliveries-view.ts';
import { type EndpointDocument, endpointMessage, listEndpoints } from '../views/endpoints/endpoints-view.ts';

/** Where it stands that a request id was used, and the id of an endpoint that is made from one. Fixed for ever. */
const requestKeyOf = uuidsIn('7f5b1c0e-8f0a-5b38-9b52-0f6d2f1a7c45');
const endpointIdOf = uuidsIn('d4a1f9b6-2c5e-5d0f-8e1d-5a7f3b9c6e20');

/** Each event becomes a delivery for each of them. */
const MAX_ENABLED_ENDPOINTS = 50;
const SECRET_BYTES = 32;
const DEFAULT_PAGE_SIZE = 20;

export type WebhookDoorParts = {
  handle(request: CommandRequest<EndpointCommand>): Promise<CommandResult<Endpoint>>;
  noteRequest(request: CommandRequest<RequestIdUsed>): Promise<unknown>;
  /** The endpoint as its journal's leader knows it. */
  stateOf(endpointId: string): Promise<Endpoint | undefined>;
  /** Every endpoint there is, by its id. */
  all(): Promise<ReadonlyMap<string, EndpointDocument>>;
  /** @throws CallError INVALID_ARGUMENT for a URL that webhooks must not go to. */
  requireGoodUrl(url: string): Promise<void>;
  endpoints: Projection<EndpointDocument>;
  deliveries: Projection<DeliveryDocument>;
};

/** WebhookService: who is told of integration events, and what came of telling. For operators. */
export function webhookDoor(parts: WebhookDoorParts): Door {
  const { handle, noteRequest, stateOf, all, requireGoodUrl, endpoints, deliveries } = parts;

  /** Ties a request id to what it was used for first. @throws CallError ALREADY_EXISTS for another use. */
  async function useRequestId(endpointId: string, asked: Asked): Promise<void> {
    if (asked.requestId === '') return;
    const key = requestKeyOf(`${asked.caller}\n${asked.requestId}`);
    await noteRequest({ ...asked, key, creates: true, command: { type: 'RequestIdUsed', endpointId } });
  }

  async function requireRoom(): Promise<void> {
    const enabled = [...(await all()).values()].filter((endpoint) => endpoint.enabled);
    if (enabled.length < MAX_ENABLED_ENDPOINTS) return;
    throw new CallError('FAILED_PRECONDITION', `${MAX_ENABLED_ENDPOINTS} endpoints are enabled, and no more can be`, {
      reason: 'TOO_MANY_ENDPOINTS',
    });
  }

  return door(WebhookService, {
    async createEndpoint(request, call) {
      requireRole(call, 'operator');
      const asked = askedBy(call, CreateEndpointRequestSchema, request);
      const { url, types, requestId } = request;
      const endpointId = requestId === '' ? randomUUID() : endpointIdOf(`${asked.caller}\n${requestId}`);
      // The same request again gets its answer, whatever would be said of it now.
      if (requestId === '' || (await stateOf(endpointId)) === undefined) {
        requireKnown(types);
        await requireGoodUrl(url);
        await requireRoom();
      }
      await useRequestId(endpointId, asked);
      const secret = `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`;
      const command = { type: 'CreateEndpoint', endpointId, url, types, secret } as const;
      const result = await handle({ ...asked, key: endpointId, dataOwner: endpointId, creates: true, command });
      return create(CreateEndpointResponseSchema, {
        endpointId,
        secret: result.state.status === 'None' ? '' : result.state.secret,
        version: BigInt(result.version),
        position: result.position,
      });
    },

    async setEndpointEnabled(request, call) {
      requireRole(call, 'operator');
      const asked = askedBy(call, SetEndpointEnabledRequestSchema, request);
      const endpointId = request.endpointId.toLowerCase();
      const state = await stateOf(endpointId);
      // No request id is used up, and nothing stored, for an endpoint that there is not.
      if (state === undefined) throw unknownEndpoint(endpointId);
      if (request.enabled && state.status === 'Disabled') await requireRoom();
      await useRequestId(endpointId, asked);
      const command: EndpointCommand = request.enabled
        ? { type: 'EnableEndpoint', endpointId }
        : { type: 'DisableEndpoint', endpointId, reason: 'an operator disabled it' };
      const result = await handle({ ...asked, key: endpointId, dataOwner: endpointId, command });
      return create(SetEndpointEnabledResponseSchema, { version: BigInt(result.version), position: result.position });
    },

    async listEndpoints({ atLeast }, call) {
      requireRole(call, 'operator');
      const found = await listEndpoints(await endpoints.reached(atLeast, call.signal));
      return create(ListEndpointsResponseSchema, { endpoints: found.map(endpointMessage) });
    },

    async listDeliveries({ endpointId, status, pageSize, pageToken, atLeast }, call) {
      requireRole(call, 'operator');
      const reader = await deliveries.reached(atLeast, call.signal);
      const filter = { endpointId: endpointId.toLowerCase(), status };
      const page = await listDeliveries(reader, filter, pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize, pageToken);
      return create(ListDeliveriesResponseSchema, {
        deliveries: page.deliveries.map(deliveryMessage),
        nextPageToken: page.nextPageToken,
      });
    },
  });
}

/** What a request carries beside its command. */
type Asked = Omit<CommandRequest<never>, 'key' | 'command' | 'creates' | 'dataOwner'>;

function askedBy<Schema extends DescMessage>(
  { caller, correlationId }: Call,
  schema: Schema,
  request: MessageShape<Schema> & { requestId: string },
): Asked {
  const { requestId } = request;
  return {
    caller: caller.subject,
    requestId,
    correlationId,
    causationId: requestId === '' ? randomUUID() : requestId,
    // The method is part of what a repeat must equal.
    content: Buffer.concat([Buffer.from(schema.typeName), toBinary(schema, request)]),
  };
}

function requireKnown(types: readonly string[]): void {
  types.forEach((type, index) => {
    if (!publicTypes.knows(type)) {
      throw invalid(`types[${index}]`, `is none of ${publicTypes.names().join(', ')}`);
    }
  });
}

function unknownEndpoint(endpointId: string): CallError {
  return new CallError('NOT_FOUND', `there is no endpoint ${endpointId}`, {
    reason: 'ENDPOINT_UNKNOWN',
    metadata: { endpoint_id: endpointId },
  });
}
