/** A selector of a query: the name of what is measured, and the labels that it asks for. */
export type Selector = { metric: string; labels: Record<string, string> };

export type Query = {
  selectors: Selector[];
  /** By which it groups, and on which it joins. */
  grouping: string[];
};

const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g;
const STRING = /"(?:[^"\\]|\\.)*"/g;
const SELECTOR = /([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\})?(?!\s*\(|[\w:])/g;
const KEYWORDS = new Set(['and', 'or', 'unless', 'bool', 'by', 'without', 'on', 'ignoring']);

/** What a PromQL query asks for. It knows as much of the language as dashboards and alerts use. */
export function queryIn(text: string): Query {
  const withoutTimes = text.replaceAll(/\[[^\]]*\]|\boffset\s+\w+/g, '');
  const grouping = [...withoutTimes.matchAll(GROUPING)].flatMap(([, labels = '']) => wordsIn(labels));
  // Strings between braces are values of labels; elsewhere they are arguments.
  const bare = withoutTimes
    .replaceAll(GROUPING, ' ')
    .replaceAll(/\{[^}]*\}|"(?:[^"\\]|\\.)*"/g, (part) => (part.startsWith('{') ? part : ' 0 '));
  const selectors = [...bare.matchAll(SELECTOR)]
    .map(([, metric = '', matchers = '']) => ({ metric, labels: labelsIn(matchers) }))
    .filter(({ metric }) => !KEYWORDS.has(metric));
  return { selectors, grouping };
}

function wordsIn(list: string): string[] {
  return list.split(',').flatMap((word) => word.trim() || []);
}

function labelsIn(matchers: string): Record<string, string> {
  const found = matchers.matchAll(new RegExp(`(\\w+)\\s*(?:=~|!~|!=|=)\\s*(${STRING.source})`, 'g'));
  return Object.fromEntries([...found].map(([, label = '', value = '']) => [label, JSON.parse(value)]));
}
