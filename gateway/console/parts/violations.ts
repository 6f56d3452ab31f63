import { ConnectError } from '@connectrpc/connect';
import { BadRequestSchema } from '#gen/google/rpc/error_details_pb.js';

/** What is wrong with which field of a refused request, by its path, such as `ship_to.city`. */
export function violationsOf(error: unknown): ReadonlyMap<string, string> {
  if (error === null || error === undefined) return new Map();
  const details = ConnectError.from(error).findDetails(BadRequestSchema);
  return new Map(
    details.flatMap(({ fieldViolations }) => fieldViolations).map(({ field, description }) => [field, description]),
  );
}
