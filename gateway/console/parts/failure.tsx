import { Code, ConnectError } from '@connectrpc/connect';

/** Why something could not be had, and a way to ask again. */
export function Failure({ error, again }: { error: unknown; again?: (() => unknown) | undefined }) {
  return (
    <div className="failure" role="alert">
      <p>{failureText(error)}</p>
      {again !== undefined && (
        <button type="button" onClick={() => again()}>
          Try again
        </button>
      )}
    </div>
  );
}

/** What the platform says of a failed call, for people. */
export function failureText(error: unknown): string {
  const { code, rawMessage } = ConnectError.from(error);
  switch (code) {
    case Code.Unavailable:
      return `Not available now: ${rawMessage}`;
    case Code.DeadlineExceeded:
      return `No answer in time: ${rawMessage}`;
    case Code.PermissionDenied:
      return `You may not see or do this: ${rawMessage}`;
    case Code.Unknown:
      return 'The gateway can not be reached.';
    default:
      return rawMessage;
  }
}
