import { randomUUID } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  AddBlankPageRequestSchema,
  AddBlankPageResponseSchema,
  BlankSlateService,
  GetBlankPageResponseSchema,
  ListBlankPagesResponseSchema,
} from '#gen/causeway/blank_slate/v1/blank_slate_service_pb.js';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import { CallError } from '#kit/errors.ts';
import type { Projection } from '#kit/projection.ts';
import { type Door, door } from '#kit/rpc/door.ts';
import { uuidsIn } from '#kit/uuid.ts';
import type { BlankPage, BlankPageCommand } from '../domain/blank-page.ts';
import { type BlankPageDocument, blankPageMessage, listBlankPages } from '../views/blank-pages/blank-pages-view.ts';

/** Ids that are made from a caller and a request id (UUIDv5). The namespace is fixed for ever. */
const blankPageIdOf = uuidsIn('b1a9c000-0000-4000-8000-00000000b1a9');

const DEFAULT_PAGE_SIZE = 50;

export type BlankSlateDoorParts = {
  handle(request: CommandRequest<BlankPageCommand>): Promise<CommandResult<BlankPage>>;
  blankPages: Projection<BlankPageDocument>;
};

/** BlankSlateService: adds blank pages, and shows them to whom they are. */
export function blankSlateDoor({ handle, blankPages }: BlankSlateDoorParts): Door {
  return door(BlankSlateService, {
    async addBlankPage({ title, requestId }, { caller, correlationId }) {
      const blankPageId = requestId === '' ? randomUUID() : blankPageIdOf(`${caller.subject}\n${requestId}`);
      const result = await handle({
        key: blankPageId,
        creates: true,
        command: { type: 'AddBlankPage', blankPageId, customerId: caller.subject, title },
        caller: caller.subject,
        requestId,
        content: toBinary(AddBlankPageRequestSchema, create(AddBlankPageRequestSchema, { title })),
        correlationId,
        causationId: requestId === '' ? randomUUID() : requestId,
      });
      const { version, position } = result;
      return create(AddBlankPageResponseSchema, { blankPageId, version: BigInt(version), position });
    },

    async getBlankPage({ blankPageId, atLeast }, { caller, signal }) {
      const { find } = await blankPages.reached(atLeast, signal);
      const found = await find(blankPageId.toLowerCase());
      const maySee = caller.role === 'operator' || found?.customerId === caller.subject;
      if (found === undefined || !maySee) {
        throw new CallError('NOT_FOUND', `there is no blank page ${blankPageId}`, {
          reason: 'BLANK_PAGE_UNKNOWN',
          metadata: { blank_page_id: blankPageId },
        });
      }
      return create(GetBlankPageResponseSchema, { blankPage: blankPageMessage(found) });
    },

    async listBlankPages({ pageSize, pageToken, atLeast }, { caller, signal }) {
      const reader = await blankPages.reached(atLeast, signal);
      const customerId = caller.role === 'operator' ? undefined : caller.subject;
      const page = await listBlankPages(reader, customerId, pageToken, pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize);
      return create(ListBlankPagesResponseSchema, {
        blankPages: page.found.map(blankPageMessage),
        nextPageToken: page.next,
      });
    },
  });
}
