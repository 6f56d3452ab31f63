import { describe, expect, test } from 'vitest';
import { CallError, invalid, PermanentError, TransientError, UnavailableError } from './errors.ts';

describe('an error for a caller', () => {
  test('keeps its cause for logs, and out of what is shown', () => {
    const cause = new Error('connection refused at 10.0.0.7');
    const error = new CallError('UNAVAILABLE', 'try again', { cause });
    expect(error.cause).toBe(cause);
    expect(error.message).toBe('try again');
  });

  test('has no cause where none was given', () => {
    expect('cause' in new CallError('NOT_FOUND', 'no such order')).toBe(false);
  });

  test('about a field names it', () => {
    expect(invalid('lines[2].quantity', 'must be positive')).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'lines[2].quantity: must be positive',
      details: { violations: [{ field: 'lines[2].quantity', description: 'must be positive' }] },
    });
  });
});

test.each([PermanentError, TransientError, UnavailableError])('%o is told by its type and its name', (Kind) => {
  const error = new Kind('so it is');
  const others = [PermanentError, TransientError, UnavailableError].filter((each) => each !== Kind);
  expect(error).toBeInstanceOf(Kind);
  expect(error.name).toBe(Kind.name);
  expect(others.some((Other) => error instanceof Other)).toBe(false);
});
