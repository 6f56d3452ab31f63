import { hash } from 'node:crypto';

/**
 * A maker of name-based UUIDs (version 5, RFC 9562) in a namespace: the same name always gives the same one.
 * @param namespace a UUID.
 */
export function uuidsIn(namespace: string): (name: string) => string {
  const space = Buffer.from(namespace.replaceAll('-', ''), 'hex');
  if (space.length !== 16) throw new RangeError(`a namespace is a UUID, not ${JSON.stringify(namespace)}`);
  return (name) => {
    const digest = hash('sha1', Buffer.concat([space, Buffer.from(name, 'utf8')]), 'buffer');
    digest.writeUInt8((digest.readUInt8(6) & 0x0f) | 0x50, 6);
    digest.writeUInt8((digest.readUInt8(8) & 0x3f) | 0x80, 8);
    const hex = digest.toString('hex', 0, 16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  };
}
