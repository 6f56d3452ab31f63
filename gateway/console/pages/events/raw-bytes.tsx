import { counted } from '../../parts/words.ts';

const MAX_SHOWN = 4_096;
const PER_LINE = 16;

/** A message's bytes, in hexadecimal digits. */
export function RawBytes({ bytes }: { bytes: Uint8Array }) {
  return (
    <details className="raw">
      <summary>{counted(bytes.length, 'byte')} as stored</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard. */}
      <pre className="payload" tabIndex={0}>
        {lines(bytes.subarray(0, MAX_SHOWN))}
        {bytes.length > MAX_SHOWN && '\n…'}
      </pre>
    </details>
  );
}

function lines(bytes: Uint8Array): string {
  const made: string[] = [];
  for (let at = 0; at < bytes.length; at += PER_LINE) {
    const part = [...bytes.subarray(at, at + PER_LINE)];
    const digits = part.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const letters = part.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : '.')).join('');
    made.push(`${at.toString(16).padStart(4, '0')}  ${digits.padEnd(PER_LINE * 3)} ${letters}`);
  }
  return made.join('\n');
}
