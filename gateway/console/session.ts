import { useSyncExternalStore } from 'react';

/** Who looks: what the token says. That it is true is checked by the gateway with every call, not here. */
export type Session = { token: string; subject: string; role: 'customer' | 'operator'; expiresAt: Date };

/** Kept for the tab alone: whoever opens another browser, or comes back tomorrow, signs in again. */
const KEPT_AS = 'causeway-token';

const listeners = new Set<() => void>();
let session: Session | undefined = fromAddress() ?? fromToken(sessionStorage.getItem(KEPT_AS) ?? '');

/** `#token=...`, as `npm start` prints it. What comes after `#` is sent to nobody, and is taken out of the address here. */
function fromAddress(): Session | undefined {
  const [, token] = /^#token=(.+)$/.exec(location.hash) ?? [];
  if (token === undefined) return undefined;
  history.replaceState(null, '', location.pathname + location.search);
  const signedIn = fromToken(token);
  if (signedIn !== undefined) sessionStorage.setItem(KEPT_AS, token);
  return signedIn;
}

/** What a token says of its holder; undefined where it is none, or not one of this platform. */
export function fromToken(given: string): Session | undefined {
  const token = given.trim().replace(/^bearer\s+/i, '');
  try {
    const part = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0));
    const { sub, role, exp } = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof sub !== 'string' || (role !== 'customer' && role !== 'operator') || typeof exp !== 'number')
      return undefined;
    const expiresAt = new Date(exp * 1_000);
    return expiresAt > new Date() ? { token, subject: sub, role, expiresAt } : undefined;
  } catch {
    return undefined;
  }
}

export function currentSession(): Session | undefined {
  return session;
}

export function signIn(next: Session): void {
  sessionStorage.setItem(KEPT_AS, next.token);
  change(next);
}

export function signOut(): void {
  sessionStorage.removeItem(KEPT_AS);
  change(undefined);
}

function change(next: Session | undefined): void {
  session = next;
  for (const listener of listeners) listener();
}

export function useSession(): Session | undefined {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, currentSession);
}
