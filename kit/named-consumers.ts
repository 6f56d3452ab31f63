import { type ApiError, type ConsumerConfig, type ConsumerInfo, JetStreamApiError } from '@nats-io/jetstream';
import type { Broker } from './broker.ts';
import { UnavailableError } from './errors.ts';

/** Settings of a durable consumer. */
export type NamedConsumer = Partial<ConsumerConfig> & { durable_name: string };

const TIMEOUT_MS = 1_500;
/** The server's error code (nats-server, errors.json). */
const STREAM_NOT_FOUND = 10_059;

/**
 * Makes a consumer, or answers with the one that there is. Asked without the library's help: for several filters that
 * takes a subject of its own, and a service would need more permissions than for all others that begin alike.
 * @throws JetStreamApiError where there is one with other settings; UnavailableError where there is no stream.
 */
export function addConsumer(broker: Broker, stream: string, config: NamedConsumer): Promise<ConsumerInfo> {
  return put(broker, stream, config, 'create');
}

/** Changes some settings of a consumer that there is. @throws JetStreamApiError where there is none. */
export async function updateConsumer(broker: Broker, stream: string, changes: NamedConsumer): Promise<ConsumerInfo> {
  const { config } = await broker.manager.consumers.info(stream, changes.durable_name);
  return put(broker, stream, { ...config, ...changes }, 'update');
}

async function put(
  { connection }: Broker,
  stream: string,
  config: NamedConsumer,
  action: 'create' | 'update',
): Promise<ConsumerInfo> {
  const name = config.durable_name;
  const request = { stream_name: stream, config: { ...config, name }, action };
  const reply = await connection.request(`$JS.API.CONSUMER.CREATE.${stream}.${name}`, JSON.stringify(request), {
    timeout: TIMEOUT_MS,
  });
  const answer = reply.json<ConsumerInfo & { error?: ApiError }>();
  if (answer.error === undefined) return answer;
  if (answer.error.err_code === STREAM_NOT_FOUND) throw new UnavailableError(`${stream} is not there`);
  throw new JetStreamApiError(answer.error);
}
