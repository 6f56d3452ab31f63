import { getOption, hasOption } from '@bufbuild/protobuf';
import { EventKind, event } from '#gen/causeway/events/v1/options_pb.js';
import { eventRegistry } from '#gen/events.js';

/** Full names of all event types that this page knows. */
export const knownTypes: readonly string[] = [...eventRegistry]
  .flatMap((type) =>
    type.kind === 'message' && hasOption(type, event) && getOption(type, event) !== EventKind.UNSPECIFIED
      ? [type.typeName]
      : [],
  )
  .sort();

/** Streams that hold events, as the contracts' packages are kept. */
export const knownStreams: readonly string[] = [
  'ORDERS',
  'FULFILMENT',
  'INVENTORY',
  'PAYMENTS',
  'SHIPPING',
  'NOTICES',
  'PUBLIC',
  'OPERATIONS',
  'WEBHOOKS',
];
