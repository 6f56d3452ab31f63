const BYTES = 16;

/** An id for a request, made when its form opens: a second press has no second effect. */
export function newRequestId(): string {
  // crypto.randomUUID is there over https and on localhost only.
  const bytes = crypto.getRandomValues(new Uint8Array(BYTES));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
