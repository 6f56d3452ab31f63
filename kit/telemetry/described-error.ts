/** What may be told of an error in logs and traces. */
export type DescribedError = {
  type: string;
  message: string;
  code?: string | number;
  /** Where it was thrown, without the message. */
  stack?: string;
  cause?: DescribedError;
};

const MAX_MESSAGE_LENGTH = 500;
const MAX_CAUSES = 5;
/** What the database says of a unique index that refuses a document ends with the values. */
const VALUES_OF_DUPLICATE = /\bdup key: .*/s;

/**
 * An error by its type, message, code, stack and cause, and nothing else: libraries hang what they were doing on their
 * errors, such as the whole document that was not written, and a document holds personal data.
 */
export function describedError(error: unknown, causes: number = MAX_CAUSES): DescribedError {
  if (!(error instanceof Error)) {
    return { type: typeof error, message: typeof error === 'string' ? withoutValues(error) : '' };
  }
  const { name, message, stack, cause } = error;
  const code = 'code' in error ? error.code : undefined;
  return {
    type: name,
    message: withoutValues(message),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(stack === undefined ? {} : { stack: framesOf(stack, message) }),
    ...(cause === undefined || causes === 0 ? {} : { cause: describedError(cause, causes - 1) }),
  };
}

function withoutValues(message: string): string {
  const said = message.replace(VALUES_OF_DUPLICATE, 'dup key: [redacted]');
  return said.length > MAX_MESSAGE_LENGTH ? `${said.slice(0, MAX_MESSAGE_LENGTH)}...` : said;
}

/** The stack begins with the message, which may look like anything. */
function framesOf(stack: string, message: string): string {
  const at = stack.indexOf(message);
  const frames = at === -1 ? stack : stack.slice(at + message.length);
  return frames
    .split('\n')
    .filter((line) => line.startsWith('    at '))
    .join('\n');
}
