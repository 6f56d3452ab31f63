import { type DescMessage, fromBinary, type MessageShape, mergeFromBinary } from '@bufbuild/protobuf';
import { PermanentError } from './errors.ts';

/**
 * Decodes a message, where `into` is given into that one. The library says by errors of several types that bytes are
 * no such message; here it is always one.
 * @throws PermanentError
 */
export function decoded<Desc extends DescMessage>(
  type: Desc,
  bytes: Uint8Array,
  into?: MessageShape<Desc>,
): MessageShape<Desc> {
  try {
    return into === undefined ? fromBinary(type, bytes) : mergeFromBinary(type, into, bytes);
  } catch (cause) {
    throw new PermanentError(`${type.typeName} can't be decoded`, { cause });
  }
}
