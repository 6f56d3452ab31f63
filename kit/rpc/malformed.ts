import { Code, ConnectError, createContextKey, type HandlerContext } from '@connectrpc/connect';
import { invalid } from '../errors.ts';
import { callErrorOf, connectError } from './errors.ts';

const isUnderstood = createContextKey(false);
const noKind = { code: Code.Internal, rawMessage: '' };

/** Notes that a call's request was read: what fails from here on is not the fault of its bytes. */
export function understood({ values }: HandlerContext): void {
  values.set(isUnderstood, true);
}

/**
 * Called before a request is read. The library has its own words for bytes that are no such message: INTERNAL for
 * protobuf, INVALID_ARGUMENT without details for JSON. Nothing of ours is asked then, but the call is aborted with the
 * error before it is sent, and there it is made to say what it says at the gRPC door. The signal of the call would not
 * tell: where the deadline has passed, it is aborted with that.
 */
export function explainMalformed(context: HandlerContext): void {
  const { values, method } = context;
  const explain = (error: unknown) => {
    // Of base64 that is none it throws an error of no kind, which would become INTERNAL. Of any other kind is what Node says
    // of a caller that has gone, and nothing of that can be changed.
    if (!(error instanceof Error) || values.get(isUnderstood)) return;
    if (!(error instanceof ConnectError) && Object.getPrototypeOf(error) !== Error.prototype) return;
    const { code: found, rawMessage: words } = error instanceof ConnectError ? error : noKind;
    if (found !== Code.Internal && found !== Code.InvalidArgument) return;
    const said = found === Code.InvalidArgument ? `: ${words}` : '';
    const description = `the request is not an encoded ${method.input.typeName}${said}`;
    const { name, code, message, rawMessage, details, metadata } = connectError(
      callErrorOf(invalid(method.input.name, description)),
    );
    Object.assign(error, { name, code, message, rawMessage, details, metadata, cause: undefined });
  };
  const call = context as HandlerContext & { abort(reason?: unknown): void };
  const { abort } = call;
  call.abort = (reason) => {
    explain(reason);
    abort(reason);
  };
}
