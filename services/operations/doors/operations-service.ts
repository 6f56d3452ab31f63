import { create, type MessageShape, toBinary } from '@bufbuild/protobuf';
import {
  type DeadLetterFilter,
  DiscardDeadLettersRequestSchema,
  DiscardDeadLettersResponseSchema,
  FulfilmentStatus,
  GetDeadLetterResponseSchema,
  GetFulfilmentResponseSchema,
  ListDeadLetterGroupsResponseSchema,
  ListDeadLettersResponseSchema,
  ListFulfilmentsResponseSchema,
  OperationsService,
  type ReplayDeadLettersRequest,
  ReplayDeadLettersRequestSchema,
  ReplayDeadLettersResponseSchema,
  ResolveFulfilmentRequestSchema,
  ResolveFulfilmentResponseSchema,
} from '#gen/causeway/operations/v1/operations_service_pb.js';
import type { DeadLetterDesk } from '#kit/dead-letter-desk.ts';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import { CallError, invalid } from '#kit/errors.ts';
import type { Projection } from '#kit/projection.ts';
import { type Door, door } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';
import type { Act, ActCommand, Selection } from '../domain/act.ts';
import type { Resolution, ResolutionChoice, ResolveFulfilment, Standing } from '../domain/resolution.ts';
import { listFulfilments } from '../views/fulfilments/fulfilment-queries.ts';
import { type FulfilmentDocument, fulfilmentMessage, isKnown } from '../views/fulfilments/fulfilments-view.ts';
import { type Acts, type Asked, actIdFor, type Desk, filterOf, type Letters, type ParkedRow } from './acts.ts';
import { type CatalogueParts, catalogueMethods } from './catalogue-methods.ts';
import {
  deadLetterGroupMessage,
  deadLetterMessage,
  editedData,
  wholeDeadLetterMessage,
} from './dead-letter-messages.ts';
import { discard } from './discard.ts';
import { type ErasureParts, erasureMethods } from './erasure-methods.ts';
import { type FlowParts, flowMethods } from './flow-methods.ts';
import { type LogParts, logMethods } from './log-methods.ts';
import { paceOf } from './pace.ts';
import { type ProjectionParts, projectionMethods } from './projection-methods.ts';
import { rebalanceMethods } from './rebalance-methods.ts';
import { type Edit, replay } from './replay.ts';

const DEFAULT_PAGE_SIZE = 20;
/** Letters behind one that is looked at. */
const MAX_BEHIND = 100;

export type OperationsDoorParts = {
  fulfilments: Projection<FulfilmentDocument>;
  /** How a fulfilment stands, and the event that its resolution follows from. */
  standingOf(orderId: string): Promise<{ standing: Standing; causationId: string }>;
  resolve(request: CommandRequest<ResolveFulfilment>): Promise<CommandResult<Resolution>>;
  noteRequest(request: CommandRequest<ActCommand>): Promise<CommandResult<Act>>;
  desk: Desk & Pick<DeadLetterDesk, 'groups'>;
  letters: Letters;
  acts: Acts;
  clock(): Date;
} & CatalogueParts &
  ErasureParts &
  FlowParts &
  LogParts &
  ProjectionParts;

/** OperationsService: what operators look at and do. Nobody else may call any of it. */
export function operationsDoor(parts: OperationsDoorParts): Door {
  const { fulfilments, standingOf, resolve, noteRequest, desk, letters, acts, clock } = parts;

  return door(OperationsService, {
    ...flowMethods(parts),
    ...logMethods(parts),
    ...catalogueMethods(parts),
    ...projectionMethods(parts),
    ...rebalanceMethods(parts),
    ...erasureMethods(parts),

    async listFulfilments({ status, overdue, pageSize, pageToken, atLeast }, call) {
      requireRole(call, 'operator');
      const reader = await fulfilments.reached(atLeast, call.signal);
      const filter = {
        status: status === FulfilmentStatus.UNSPECIFIED ? undefined : status,
        overdueAt: overdue ? clock() : undefined,
      };
      const page = await listFulfilments(reader, filter, pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize, pageToken);
      return create(ListFulfilmentsResponseSchema, {
        fulfilments: page.fulfilments.map(fulfilmentMessage),
        nextPageToken: page.nextPageToken,
      });
    },

    async getFulfilment({ orderId: asked, atLeast }, call) {
      requireRole(call, 'operator');
      const { find } = await fulfilments.reached(atLeast, call.signal);
      const orderId = asked.toLowerCase();
      const found = await find(orderId);
      if (!isKnown(found)) {
        throw new CallError('NOT_FOUND', `there is no fulfilment of order ${orderId}`, {
          reason: 'FULFILMENT_UNKNOWN',
          metadata: { order_id: orderId },
        });
      }
      return create(GetFulfilmentResponseSchema, { fulfilment: fulfilmentMessage(found) });
    },

    async resolveFulfilment(request, call) {
      requireRole(call, 'operator');
      const { requestId, note } = request;
      const orderId = request.orderId.toLowerCase();
      const { standing, causationId } = await standingOf(orderId);
      const asked = {
        caller: call.caller.subject,
        requestId,
        content: contentOf(ResolveFulfilmentRequestSchema, { ...request, orderId, requestId: '' }),
        correlationId: call.correlationId,
        causationId,
      };
      // The fulfilment knows of its own requests only; here it is refused to use the same id for something else.
      if (requestId !== '' && standing.is !== 'unknown') {
        const key = actIdFor({ call, requestId });
        await noteRequest({ ...asked, key, creates: true, command: { type: 'UseRequestId', orderId } });
      }
      const resolution = request.resolution as ResolutionChoice;
      const command: ResolveFulfilment = { type: 'ResolveFulfilment', orderId, resolution, note, standing };
      const { position } = await resolve({ ...asked, key: orderId, command });
      return create(ResolveFulfilmentResponseSchema, { position });
    },

    async listDeadLetterGroups(_, call) {
      requireRole(call, 'operator');
      return create(ListDeadLetterGroupsResponseSchema, { groups: (await desk.groups()).map(deadLetterGroupMessage) });
    },

    async listDeadLetters({ filter, pageSize, pageToken }, call) {
      requireRole(call, 'operator');
      const rows = await desk.rows(filterOf(selectionOf(filter, false)));
      const from = pageToken === '' ? 0 : rowsUpTo(rows, pageToken);
      const page = rows.slice(from, from + (pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize));
      const last = page.at(-1);
      return create(ListDeadLettersResponseSchema, {
        keys: page.map(({ consumer, partition, key, count, first }) => {
          return { consumer, partition, key, messages: count, first: deadLetterMessage(first) };
        }),
        nextPageToken: last === undefined || last === rows.at(-1) ? '' : tokenOf(last),
        total: rows.length,
      });
    },

    async getDeadLetter({ sequence }, call) {
      requireRole(call, 'operator');
      const letter = await desk.letter(Number(sequence));
      if (letter === undefined) {
        throw new CallError('NOT_FOUND', `there is no dead letter ${sequence}`, {
          reason: 'DEAD_LETTER_UNKNOWN',
          metadata: { sequence: String(sequence) },
        });
      }
      const { consumer, partition, key } = letter;
      const [behind, [row]] = await Promise.all([
        letters(letter, letter.sequence + 1, MAX_BEHIND),
        desk.rows({ consumer, partition, key }),
      ]);
      return create(GetDeadLetterResponseSchema, {
        letter: wholeDeadLetterMessage(letter),
        behind: behind.map(deadLetterMessage),
        parked: row?.count ?? 0,
      });
    },

    async *replayDeadLetters(request, call) {
      requireRole(call, 'operator');
      const selection = chosen(request.filter, request.all);
      if (request.edited !== undefined) requireOneKey(selection);
      if (request.dryRun) {
        yield* dryRun(await desk.rows(filterOf(selection)));
        return;
      }
      const asked: Asked = {
        call,
        requestId: request.requestId,
        content: contentOf(ReplayDeadLettersRequestSchema, { ...request, requestId: '' }),
        selection,
        note: request.reason,
        pace: paceOf(request.keysPerSecond),
      };
      const progress = replay(acts, desk, asked, () => editOf(request, selection, desk));
      for await (const { outcome, keysDone, keysTotal } of progress) {
        yield create(ReplayDeadLettersResponseSchema, { ...outcome, keysDone, keysTotal });
      }
    },

    async discardDeadLetters(request, call) {
      requireRole(call, 'operator');
      const asked: Asked = {
        call,
        requestId: request.requestId,
        content: contentOf(DiscardDeadLettersRequestSchema, { ...request, requestId: '' }),
        selection: chosen(request.filter, request.all),
        note: request.reason,
      };
      return create(DiscardDeadLettersResponseSchema, await discard(acts, desk, asked, request.firstOnly));
    },
  });
}

/** Says what would be replayed, and why it stands where it does. */
function* dryRun(rows: readonly ParkedRow[]) {
  for (const [index, { consumer, partition, key, count, first }] of rows.entries()) {
    yield create(ReplayDeadLettersResponseSchema, {
      consumer,
      partition,
      key,
      remaining: count,
      error: first.error,
      keysDone: index + 1,
      keysTotal: rows.length,
    });
  }
}

/** @throws CallError INVALID_ARGUMENT where no row has such a first letter, or the edit is not one that may be made. */
async function editOf(
  { edited }: ReplayDeadLettersRequest,
  selection: Selection,
  desk: Desk,
): Promise<Edit | undefined> {
  if (edited === undefined) return undefined;
  const [row] = await desk.rows(filterOf(selection));
  const letter = row === undefined ? undefined : await desk.letter(row.first.sequence);
  if (letter === undefined) {
    throw new CallError('NOT_FOUND', `${selection.consumer} has parked no ${selection.key}`, {
      reason: 'NOTHING_PARKED',
      metadata: { consumer: selection.consumer, key: selection.key },
    });
  }
  return { sequence: letter.sequence, data: editedData(letter, edited) };
}

function requireOneKey({ consumer, key }: Selection): void {
  if (consumer === '') throw invalid('filter.consumer', 'an edited message is of one consumer');
  if (key === '') throw invalid('filter.key', 'an edited message is of one key');
}

/** @throws CallError INVALID_ARGUMENT where nothing was chosen, and not all on purpose. */
function chosen(filter: DeadLetterFilter | undefined, all: boolean): Selection {
  const selection = selectionOf(filter, all);
  if (!all && Object.keys(filterOf(selection)).length === 0) {
    throw invalid('filter', 'says nothing; all dead letters are chosen with `all`');
  }
  return selection;
}

function selectionOf(filter: DeadLetterFilter | undefined, all: boolean): Selection {
  const { consumer = '', key = '', reason = '', eventType = '' } = filter ?? {};
  return { consumer, key, reason, eventType, all };
}

/** Rows come by consumer, partition and key; the one that a page ended with may be gone when the next is asked for. */
function rowsUpTo(rows: readonly ParkedRow[], token: string): number {
  const [consumer = '', partition, key] = Buffer.from(token, 'base64url').toString().split(' ');
  if (key === undefined) throw invalid('page_token', 'is not a token of this list');
  const next = rows.findIndex((row) => {
    if (row.consumer !== consumer) return row.consumer > consumer;
    return row.partition === Number(partition) ? row.key > key : row.partition > Number(partition);
  });
  return next === -1 ? rows.length : next;
}

function tokenOf({ consumer, partition, key }: ParkedRow): string {
  return Buffer.from(`${consumer} ${partition} ${key}`).toString('base64url');
}

/** What a repeat of a request must equal. The method is part of it. */
function contentOf<
  Schema extends
    | typeof ResolveFulfilmentRequestSchema
    | typeof ReplayDeadLettersRequestSchema
    | typeof DiscardDeadLettersRequestSchema,
>(schema: Schema, request: MessageShape<Schema>): Uint8Array {
  return Buffer.concat([Buffer.from(schema.typeName), toBinary(schema, request)]);
}
