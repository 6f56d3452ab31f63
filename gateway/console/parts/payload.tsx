import { toJson } from '@bufbuild/protobuf';
import { type Any, anyUnpack } from '@bufbuild/protobuf/wkt';
import { eventRegistry } from '#gen/events.js';

/** An event's payload as JSON, decoded by its contract. */
export function Payload({ data }: { data: Any | undefined }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard.
    <pre className="payload" tabIndex={0}>
      {payloadText(data)}
    </pre>
  );
}

/** @returns a sentence where this page does not know the contract. */
function payloadText(data: Any | undefined): string {
  if (data === undefined) return 'The contract of this event is not known here.';
  const type = eventRegistry.getMessage(data.typeUrl.split('/').at(-1) ?? '');
  const message = type === undefined ? undefined : anyUnpack(data, eventRegistry);
  if (type === undefined || message === undefined) return `${data.typeUrl} is newer than this page: load it again.`;
  return JSON.stringify(toJson(type, message, { registry: eventRegistry }), undefined, 2);
}

/** Last part of a full name. */
export function shortType(type: string): string {
  return type.split('.').at(-1) ?? type;
}
