import {
  type ErrorJson,
  type EventJson,
  type OrderClient,
  type OrderJson,
  type Placed,
  refusedCall,
} from './order-client.ts';

const SERVICE = 'causeway.orders.v1.OrderService';
/** Flag of the last message of a stream in the Connect protocol: it holds no answer, but how the stream ended. */
const END_OF_STREAM = 2;

/** Nothing but `fetch` and JSON: the Connect protocol as anybody can write it by hand. */
export function fetchClient(address: string, authorization: string): OrderClient {
  const post = async <Answer>(method: string, request: object): Promise<Answer> => {
    const response = await fetch(`${address}/${SERVICE}/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization },
      body: JSON.stringify(request),
    });
    return answerOf(response);
  };
  return {
    place: (order) => post<Placed>('PlaceOrder', order),
    read: async (orderId, atLeast = []) => (await post<{ order: OrderJson }>('GetOrder', { orderId, atLeast })).order,
    cancel: (orderId) => post('CancelOrder', { orderId, reason: 'too late' }),
    watch: (orderId) => streamed(address, authorization, orderId),
  };
}

/** The same by HTTP GET, which methods without side effects take: `curl URL`, and a cache between is welcome. */
export async function readByGet(
  address: string,
  authorization: string,
  method: string,
  request: object,
): Promise<Response> {
  const query = new URLSearchParams({ connect: 'v1', encoding: 'json', message: JSON.stringify(request) });
  return fetch(`${address}/${SERVICE}/${method}?${query}`, { headers: { authorization } });
}

async function answerOf<Answer>(response: Response): Promise<Answer> {
  const body = await response.json();
  if (!response.ok) throw refusedCall(body as ErrorJson);
  return body as Answer;
}

async function* streamed(address: string, authorization: string, orderId: string): AsyncGenerator<EventJson> {
  const ended = new AbortController();
  try {
    const response = await fetch(`${address}/${SERVICE}/WatchOrder`, {
      method: 'POST',
      headers: { 'content-type': 'application/connect+json', authorization },
      body: new Uint8Array(envelope(JSON.stringify({ orderId }))),
      signal: ended.signal,
    });
    let bytes = Buffer.alloc(0);
    for await (const chunk of response.body ?? []) {
      bytes = Buffer.concat([bytes, chunk]);
      while (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt32BE(1)) {
        const end = 5 + bytes.readUInt32BE(1);
        const message = JSON.parse(bytes.toString('utf8', 5, end));
        if ((bytes.readUInt8(0) & END_OF_STREAM) !== 0) {
          if (message.error !== undefined) throw refusedCall(message.error as ErrorJson);
          return;
        }
        yield message.event as EventJson;
        bytes = bytes.subarray(end);
      }
    }
  } finally {
    ended.abort();
  }
}

/** A message of a stream: a byte of flags, four of length, the message. */
function envelope(message: string): Buffer {
  const body = Buffer.from(message);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}
