/** Environment variable in which the broker finds the public key of a user: `ORDERS_NKEY`. */
export function nkeyVariable(user: string): string {
  return `${user.replaceAll('-', '_').toUpperCase()}_NKEY`;
}
