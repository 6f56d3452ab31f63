import { create } from '@bufbuild/protobuf';
import { GetEventCatalogueResponseSchema } from '#gen/causeway/operations/v1/log_pb.js';
import type { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { ownContracts } from '#kit/contracts.ts';
import { remembered } from '#kit/remembered.ts';
import type { Implementation } from '#kit/rpc/door.ts';
import type { ServiceDescription } from '#kit/service-descriptions.ts';
import { eventCatalogue } from './event-catalogue.ts';

export type CatalogueParts = {
  /** What services say of themselves. @throws UnavailableError where that can't be had. */
  descriptions(): Promise<ServiceDescription[]>;
};

type CatalogueMethods = Pick<Implementation<typeof OperationsService>, 'getEventCatalogue'>;

/** Making it takes some 15 ms of a processor, and anybody may ask for it. */
const GOOD_MS = 2_000;

/** What events there are, who says them and who listens. Open: it tells what the contracts tell, and no more. */
export function catalogueMethods({ descriptions }: CatalogueParts): CatalogueMethods {
  const getEventCatalogue = remembered(async () => {
    const events = eventCatalogue(ownContracts(), await descriptions());
    return create(GetEventCatalogueResponseSchema, { events });
  }, GOOD_MS);
  return { getEventCatalogue };
}
