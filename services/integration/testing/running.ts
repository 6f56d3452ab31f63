import { randomUUID } from 'node:crypto';
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { OrderCompletedSchema } from '#gen/causeway/orders/v1/events_pb.js';
import { type Delivery, WebhookService } from '#gen/causeway/webhooks/v1/webhooks_service_pb.js';
import type { ServiceParts } from '#kit/service-parts.ts';
import { journalOf } from '#kit/streams.ts';
import type { Logger } from '#kit/telemetry/logging.ts';
import { atTheEnd, openTestParts } from '#kit/testing/servers.ts';
import { telling } from '#kit/testing/told.ts';
import { type DeliveryOptions, integration } from '../integration.ts';
import type { Receiver } from './receiver.ts';

/** Short waits, so that tests are quick. */
export const quick: DeliveryOptions = {
  consumer: { maxKeys: 16, maxHeld: 256, maxAttempts: 4, backoff: { minMs: 2, maxMs: 20 } },
  traffic: { callsWhenWell: 8, callsWhenUnwell: 4, failuresUntilDown: 100, waitingWhenDown: 100 },
  timeoutMs: 400,
};

const lenient = { environment: 'test', webhookPrivateTargets: true } as const;

export type Running = {
  parts: ServiceParts & { close(): Promise<void> };
  stop(): Promise<void>;
  /** Calls a method of the service's door. */
  call<Input extends DescMessage, Output extends DescMessage>(
    method: DescMethodUnary<Input, Output>,
    request: MessageInitShape<Input>,
    caller?: { subject: string; role: 'customer' | 'operator' },
  ): Promise<MessageShape<Output>>;
  /** Makes a receiver an endpoint, which then checks signatures. Resolves with its id. */
  add(receiver: Receiver, types?: string[]): Promise<string>;
  /** An order is completed. Resolves with its id. */
  completeOrder(orderId?: string): Promise<string>;
  /** What was to be delivered about an order, or to an endpoint, the newest first. */
  deliveries(filter: { key?: string; endpointId?: string }): Promise<Delivery[]>;
};

type RunOptions = { options?: DeliveryOptions; settings?: Parameters<typeof integration>[1]; logger?: Logger };

/** The service on these servers; stopped when the test, or its file, ends. */
export async function running(
  servers: { natsUrl: string; mongodbUri: string },
  { options = quick, settings = lenient, logger }: RunOptions = {},
): Promise<Running> {
  const opened = openTestParts('integration', servers);
  // Asked for after the parts, so that it ends before they do.
  const stopping = Promise.withResolvers<() => Promise<void>>();
  atTheEnd(async () => (await stopping.promise)());
  const parts = { ...(await opened), ...(logger === undefined ? {} : { logger }) };
  const service = await integration(parts, settings, options);
  stopping.resolve(() => service.stop());
  await service.start();
  const order = telling(parts, journalOf('orders'), 'order');
  const operator = { subject: 'olga', role: 'operator' } as const;
  const total = { currencyCode: 'EUR', units: 25n, nanos: 500_000_000 };

  const call: Running['call'] = (method, request, caller = operator) => {
    const around = { authorization: '', correlationId: 'correlation', deadline: undefined };
    const asked = { caller, signal: AbortSignal.timeout(5_000), ...around };
    return service.doors[0]?.messages.unary(method, create(method.input, request), asked) as never;
  };

  return {
    parts,
    call,
    stop: () => service.stop(),
    async add(receiver, types = []) {
      const { url } = receiver;
      const { endpointId, secret } = await call(WebhookService.method.createEndpoint, { url, types });
      receiver.secret = secret;
      return endpointId;
    },
    async completeOrder(orderId = randomUUID()) {
      await order(OrderCompletedSchema, orderId, { orderId, customerId: 'alice', total });
      return orderId;
    },
    async deliveries({ key, endpointId = '' }) {
      const page = await call(WebhookService.method.listDeliveries, { endpointId, pageSize: 100 });
      return page.deliveries.filter((delivery) => key === undefined || delivery.key === key);
    },
  };
}
