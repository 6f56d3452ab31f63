import type { MessageInitShape } from '@bufbuild/protobuf';
import type { DeadLetterFilterSchema } from '#gen/causeway/operations/v1/operations_service_pb.js';

/** Dead letters that are chosen, and how many there were when they were. */
export type Selection = {
  filter?: MessageInitShape<typeof DeadLetterFilterSchema>;
  /** All that there are, on purpose. */
  all?: boolean;
  /** In words, such as `3 keys of payments-...`. */
  text: string;
};

/** What is asked of a selection. */
export function askedOf({ filter, all = false }: Selection) {
  return { ...(filter === undefined ? {} : { filter }), all };
}
