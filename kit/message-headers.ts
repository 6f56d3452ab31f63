import type { JsMsg } from '@nats-io/jetstream';
import type { Msg, MsgHdrs } from '@nats-io/transport-node';

const PREAMBLE = 'NATS/1.0';
const STATUS = /^NATS\/1\.0 (\d{3})/;
const LINE_BREAK = /[\r\n]/;
/** Half of a line break stands in a value: where a header ends is a matter of opinion then. */
const HALF_A_BREAK = /[^\r]\n|\r[^\n]/;

/** What is looked for in the text of headers, by name: made once. */
const needles = new Map<string, string>();

/**
 * A message's headers, by their names as they are written. The broker's client has headers of its own, which compare each
 * name with each other when they are read, and copy all names for each look: they made half of what a process allocated.
 */
export class MessageHeaders implements MsgHdrs {
  readonly hasError = false;
  readonly status = '';
  /** What the broker answers in place of a message, such as 404; 0: it is one. */
  readonly code: number = 0;
  readonly description = '';
  /** As received, as long as nobody has asked for more than single headers. */
  #text: string | undefined;
  #headers: Map<string, string[]> | undefined;

  /**
   * @param bytes as the broker sends them; left out: none yet.
   * @throws RangeError where they can't be read for sure.
   */
  constructor(bytes?: Uint8Array) {
    if (bytes === undefined) {
      this.#headers = new Map();
      return;
    }
    this.#text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
    this.code = Number(STATUS.exec(this.#text)?.[1] ?? 0);
    if (HALF_A_BREAK.test(this.#text)) throw new RangeError('headers with half a line break in them');
  }

  get(name: string): string {
    if (this.#text === undefined) return this.#all().get(name)?.[0] ?? '';
    return valueAt(this.#text, this.#text.indexOf(needleOf(name)), name);
  }

  has(name: string): boolean {
    return this.#text === undefined ? this.#all().has(name) : this.#text.includes(needleOf(name));
  }

  keys(): string[] {
    return [...this.#all().keys()];
  }

  values(name: string): string[] {
    return [...(this.#all().get(name) ?? [])];
  }

  last(name: string): string {
    if (this.#text === undefined) return this.#all().get(name)?.at(-1) ?? '';
    return valueAt(this.#text, this.#text.lastIndexOf(needleOf(name)), name);
  }

  /** @throws RangeError for a value that would be another header. */
  append(name: string, value: string): void {
    if (LINE_BREAK.test(value) || LINE_BREAK.test(name)) throw new RangeError(`${name} has a line break in it`);
    const all = this.#all();
    const values = all.get(name);
    if (values === undefined) all.set(name, [value.trim()]);
    else values.push(value.trim());
  }

  set(name: string, value: string): void {
    this.delete(name);
    this.append(name, value);
  }

  delete(name: string): void {
    this.#all().delete(name);
  }

  [Symbol.iterator](): IterableIterator<[string, string[]]> {
    return this.#all().entries();
  }

  /** What the broker's client writes. */
  encode(): Uint8Array {
    let text = PREAMBLE;
    for (const [name, values] of this.#all()) for (const value of values) text += `\r\n${name}: ${value}`;
    return Buffer.from(`${text}\r\n\r\n`, 'utf8');
  }

  #all(): Map<string, string[]> {
    if (this.#headers !== undefined) return this.#headers;
    const all = new Map<string, string[]>();
    for (const line of (this.#text ?? '').split('\r\n').slice(1)) {
      const colon = line.indexOf(':');
      if (colon < 1) continue;
      const name = line.slice(0, colon);
      all.set(name, [...(all.get(name) ?? []), line.slice(colon + 1).trim()]);
    }
    this.#text = undefined;
    this.#headers = all;
    return all;
  }
}

function valueAt(text: string, at: number, name: string): string {
  if (at < 0) return '';
  const from = at + needleOf(name).length;
  const to = text.indexOf('\r\n', from);
  return text.slice(from, to < 0 ? undefined : to).trim();
}

function needleOf(name: string): string {
  const known = needles.get(name);
  if (known !== undefined) return known;
  const needle = `\r\n${name}:`;
  needles.set(name, needle);
  return needle;
}

/** Where the client keeps a message as it came, which it does not offer. */
type Inside = { _rdata?: Uint8Array; _msg?: { hdr?: number } };

/**
 * The headers of a delivered message. Where the client keeps them somewhere else than in the version that this was written
 * for, its own are taken, which is only slower; a test says so.
 */
export function headersOf(message: JsMsg): MsgHdrs | undefined {
  const { msg = {} } = message as { msg?: Inside };
  return readHeaders(msg, () => message.headers);
}

/**
 * The headers of a message that a subscription has got; undefined where they can't be read. The client's own throw there,
 * and that ends its connection.
 */
export function headersOfCore(message: Msg): MsgHdrs | undefined {
  try {
    return readHeaders(message as Inside, () => message.headers);
  } catch {
    return undefined;
  }
}

function readHeaders({ _rdata: bytes, _msg: place }: Inside, orElse: () => MsgHdrs | undefined): MsgHdrs | undefined {
  if (bytes === undefined || typeof place?.hdr !== 'number') return orElse();
  return place.hdr < 0 ? undefined : new MessageHeaders(bytes.subarray(0, place.hdr));
}
