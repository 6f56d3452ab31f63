/** A name from a contract, for people: `PaymentCaptureRefused` and `OUT_OF_STOCK` are `Payment capture refused`, `Out of stock`. */
export function words(name: string): string {
  const spaced = /[a-z]/.test(name) ? name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, ' ') : name.replaceAll('_', ' ');
  return spaced.charAt(0).toUpperCase() + spaced.slice(1).toLowerCase();
}

/** Such as `1 message`, `3 messages`. */
export function counted(count: number | bigint, one: string, more = `${one}s`): string {
  return `${count.toLocaleString()} ${Number(count) === 1 ? one : more}`;
}

/** Such as `3rd`. */
export function ordinal(count: number): string {
  const tens = count % 100;
  const ending = tens > 10 && tens < 14 ? 'th' : (['th', 'st', 'nd', 'rd'][count % 10] ?? 'th');
  return `${count}${ending}`;
}
