/** A line of a document as JSON; marked where it belongs to a field that differs. */
export type Line = { text: string; isMarked: boolean };

/**
 * A document as lines of JSON, with those marked that stand at one of the paths, such as `lines[0].quantity`, or below
 * one. What is cut off, and so no JSON any more, comes as it is.
 */
export function documentLines(json: string, paths: readonly string[]): Line[] {
  if (json === '') return [];
  let document: unknown;
  try {
    document = JSON.parse(json);
  } catch {
    return [{ text: json, isMarked: false }];
  }
  return linesOf(document, { path: '', indent: '', lead: '', end: '', isMarked: false }, new Set(paths));
}

type Place = { path: string; indent: string; lead: string; end: string; isMarked: boolean };

function linesOf(value: unknown, place: Place, paths: ReadonlySet<string>): Line[] {
  const isMarked = place.isMarked || paths.has(place.path);
  const parts = partsOf(value);
  if (parts === undefined || parts.length === 0) {
    return [{ text: `${place.indent}${place.lead}${JSON.stringify(value)}${place.end}`, isMarked }];
  }
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  const inner = parts.flatMap(({ step, lead, value: part }, index) =>
    linesOf(
      part,
      {
        path: Array.isArray(value) || place.path === '' ? `${place.path}${step}` : `${place.path}.${step}`,
        indent: `${place.indent}  `,
        lead,
        end: index < parts.length - 1 ? ',' : '',
        isMarked,
      },
      paths,
    ),
  );
  return [
    { text: `${place.indent}${place.lead}${open}`, isMarked },
    ...inner,
    { text: `${place.indent}${close}${place.end}`, isMarked },
  ];
}

type Part = { step: string; lead: string; value: unknown };

function partsOf(value: unknown): Part[] | undefined {
  if (Array.isArray(value)) return value.map((item, index) => ({ step: `[${index}]`, lead: '', value: item }));
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.entries(value).map(([name, item]) => ({ step: name, lead: `${JSON.stringify(name)}: `, value: item }));
}
