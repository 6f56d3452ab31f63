/** JSON of which each part knows where it stands in the text. */
export type JsonNode = {
  value: unknown;
  from: number;
  to: number;
  /** Of an object. */
  entries?: JsonEntry[];
  /** Of a list. */
  items?: JsonNode[];
};

export type JsonEntry = { name: string; from: number; to: number; node: JsonNode };

/** The text is no JSON: why, and at which character. */
export class JsonError extends Error {
  override name = 'JsonError';
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
/** Deeper than any event. */
const MAX_DEPTH = 64;

/** @throws JsonError where the text is no JSON, or a name stands twice in one object: which of the two was meant? */
export function positionedJson(text: string): JsonNode {
  const reader = new Reader(text);
  const node = reader.value(0);
  reader.skipSpace();
  if (reader.at < text.length) throw new JsonError('nothing more is expected here', reader.at);
  return node;
}

class Reader {
  at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): JsonNode {
    this.skipSpace();
    const from = this.at;
    if (depth > MAX_DEPTH) throw new JsonError('this is too deep', from);
    const next = this.#text[from];
    if (next === '{') return this.#object(from, depth);
    if (next === '[') return this.#list(from, depth);
    const found = this.#match(STRING) ?? this.#match(NUMBER) ?? this.#match(WORD);
    if (found === undefined)
      throw new JsonError(next === '"' ? 'this text does not end well' : 'a value is expected', from);
    return { value: JSON.parse(found), from, to: this.at };
  }

  skipSpace(): void {
    this.#match(SPACE);
  }

  #object(from: number, depth: number): JsonNode {
    const entries: JsonEntry[] = [];
    this.#each('}', () => {
      const nameFrom = this.at;
      const name = this.#match(STRING);
      if (name === undefined) throw new JsonError('a name in double quotes is expected', nameFrom);
      const entry = { name: JSON.parse(name) as string, from: nameFrom, to: this.at };
      if (entries.some((other) => other.name === entry.name)) throw new JsonError(`${name} stands twice`, nameFrom);
      this.skipSpace();
      if (!this.#takes(':')) throw new JsonError('a colon is expected', this.at);
      entries.push({ ...entry, node: this.value(depth + 1) });
    });
    const value = Object.fromEntries(entries.map(({ name, node }) => [name, node.value]));
    return { value, from, to: this.at, entries };
  }

  #list(from: number, depth: number): JsonNode {
    const items: JsonNode[] = [];
    this.#each(']', () => items.push(this.value(depth + 1)));
    return { value: items.map(({ value }) => value), from, to: this.at, items };
  }

  /** What stands between brackets, parted by commas. */
  #each(end: string, read: () => void): void {
    this.at++;
    this.skipSpace();
    if (this.#takes(end)) return;
    for (;;) {
      this.skipSpace();
      read();
      this.skipSpace();
      if (this.#takes(end)) return;
      if (!this.#takes(',')) throw new JsonError(`a comma or ${end} is expected`, this.at);
    }
  }

  #takes(character: string): boolean {
    if (this.#text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const [found] = pattern.exec(this.#text) ?? [];
    if (found !== undefined) this.at += found.length;
    return found;
  }
}
