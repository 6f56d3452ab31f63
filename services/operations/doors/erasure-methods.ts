import { randomUUID } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import type { CustomerErasureRequested } from '#gen/causeway/operations/v1/events_pb.js';
import {
  EraseCustomerRequestSchema,
  EraseCustomerResponseSchema,
  type OperationsService,
} from '#gen/causeway/operations/v1/operations_service_pb.js';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import { CallError } from '#kit/errors.ts';
import type { RecordedEvent } from '#kit/event.ts';
import type { PersonalData } from '#kit/personal-data.ts';
import type { Implementation } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';
import { uuidsIn } from '#kit/uuid.ts';
import type { Act, ActCommand } from '../domain/act.ts';
import type { Erasure, ErasureCommand } from '../domain/erasure.ts';
import { actIdFor } from './acts.ts';

type ErasureMethods = Pick<Implementation<typeof OperationsService>, 'eraseCustomer'>;

export type ErasureParts = {
  personalData: Pick<PersonalData, 'keysOf'>;
  requestErasure(request: CommandRequest<ErasureCommand>): Promise<CommandResult<Erasure>>;
  /** What a request has recorded: the event that made this version. */
  requestedErasure(
    key: string,
    result: Pick<CommandResult<unknown>, 'version' | 'position'>,
  ): Promise<RecordedEvent<CustomerErasureRequested>>;
  /** Does what was recorded; a repeat does nothing. */
  destroyKeys(event: RecordedEvent<CustomerErasureRequested>): Promise<void>;
  noteRequest(request: CommandRequest<ActCommand>): Promise<CommandResult<Act>>;
};

/** Keys of the aggregate (UUIDv5 of the customer's id, which may have characters that a key has not). Fixed for ever. */
const erasureIdOf = uuidsIn('c1b6fb9f-3d0a-5a5e-8f57-7f0f3f0f2a64');

/** Erases customers. Recorded first: whatever dies then, the reaction goes on with it. */
export function erasureMethods(parts: ErasureParts): ErasureMethods {
  return {
    async eraseCustomer(request, call) {
      requireRole(call, 'operator');
      const { customerId, note, requestId } = request;
      const { live, destroyed } = await parts.personalData.keysOf(customerId);
      if (live.length + destroyed.length === 0) throw unknownCustomer(customerId);
      const key = erasureIdOf(customerId);
      const asked = {
        caller: call.caller.subject,
        requestId,
        content: Buffer.concat([
          Buffer.from(EraseCustomerRequestSchema.typeName),
          toBinary(EraseCustomerRequestSchema, { ...request, requestId: '' }),
        ]),
        correlationId: call.correlationId,
        causationId: requestId === '' ? randomUUID() : requestId,
      };
      if (requestId !== '') {
        const command = { type: 'UseRequestId', orderId: key } as const;
        await parts.noteRequest({ ...asked, key: actIdFor({ call, requestId }), creates: true, command });
      }
      const command = { type: 'RequestErasure', customerId, note, keyIds: live } as const;
      const { version, position } = await parts.requestErasure({ ...asked, key, command });
      const recorded = await parts.requestedErasure(key, { version, position });
      await parts.destroyKeys(recorded);
      return create(EraseCustomerResponseSchema, { position, keysDestroyed: recorded.data.keyIds.length });
    },
  };
}

function unknownCustomer(customerId: string): CallError {
  return new CallError('NOT_FOUND', `nothing was ever stored of customer ${customerId}, or not under this id`, {
    reason: 'CUSTOMER_UNKNOWN',
    metadata: { customer_id: customerId },
  });
}
