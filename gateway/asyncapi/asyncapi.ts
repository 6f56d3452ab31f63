import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { create } from '@bufbuild/protobuf';
import { GetEventCatalogueRequestSchema, type GetEventCatalogueResponse } from '#gen/causeway/operations/v1/log_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { ownContracts } from '#kit/contracts.ts';
import { remembered } from '#kit/remembered.ts';
import { NOBODY } from '#kit/rpc/call.ts';
import type { Door } from '#kit/rpc/door.ts';
import type { Logger } from '#kit/telemetry/logging.ts';
import { asyncApiDocument } from './asyncapi-document.ts';

const ASYNCAPI_PATH = '/asyncapi.json';

/** Who asks again and again costs nothing; who changes something sees it soon. */
const FRESH_MS = 5_000;
const ANSWER_WITHIN_MS = 2_000;

type Written = { bytes: Buffer; etag: string };

/** Serves the AsyncAPI document, made from the catalogue that operations tells. */
export class AsyncApi {
  readonly #door: Door | undefined;
  readonly #logger: Logger;
  readonly #written = remembered(() => this.#write(), FRESH_MS);
  #isAway = false;

  /** @param doors what is behind the gateway; among them operations, here or in another process. */
  constructor(doors: readonly Door[], logger: Logger) {
    this.#door = doors.find(({ service }) => service.typeName === OperationsService.typeName);
    this.#logger = logger;
  }

  /** @returns whether the request was for it. */
  async serve(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const isAsked = request.method === 'GET' || request.method === 'HEAD';
    if (!isAsked || (request.url ?? '').split('?')[0] !== ASYNCAPI_PATH) return false;
    try {
      send(request, response, await this.#written());
      this.#isAway = false;
    } catch (error) {
      // Anybody may ask, in any number: what is wrong is told once.
      if (!this.#isAway) this.#logger.warn({ err: error }, 'the catalogue of events can not be had');
      this.#isAway = true;
      sendAbsence(request, response);
    }
    return true;
  }

  async #write(): Promise<Written> {
    const { events } = await this.#catalogue();
    const bytes = Buffer.from(`${JSON.stringify(asyncApiDocument(events, ownContracts()), undefined, 2)}\n`);
    const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
    return { bytes, etag };
  }

  async #catalogue(): Promise<GetEventCatalogueResponse> {
    if (this.#door === undefined) throw new Error('there is no operations behind this gateway');
    const call = {
      caller: NOBODY,
      authorization: '',
      correlationId: randomUUID(),
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      deadline: Date.now() + ANSWER_WITHIN_MS,
    };
    const { getEventCatalogue } = OperationsService.method;
    const answer = this.#door.messages.unary(getEventCatalogue, create(GetEventCatalogueRequestSchema), call);
    return (await answer) as GetEventCatalogueResponse;
  }
}

const HEADERS = { 'content-type': 'application/json; charset=utf-8', 'x-content-type-options': 'nosniff' };

function send(request: IncomingMessage, response: ServerResponse, { bytes, etag }: Written): void {
  const headers = { ...HEADERS, etag, 'cache-control': 'no-cache' };
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, headers).end();
    return;
  }
  response.writeHead(200, { ...headers, 'content-length': bytes.length });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

function sendAbsence(request: IncomingMessage, response: ServerResponse): void {
  const why = { code: 'unavailable', message: 'the catalogue of events can not be had now, try again' };
  response.writeHead(503, { ...HEADERS, 'cache-control': 'no-store', 'retry-after': '1' });
  response.end(request.method === 'HEAD' ? undefined : `${JSON.stringify(why)}\n`);
}
