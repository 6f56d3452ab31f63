import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type JsonNode, positionedJson } from './positioned-json.ts';

test('any JSON is read as it is, and each part knows where it stands', () => {
  const check = (text: string, node: JsonNode): void => {
    expect(JSON.parse(text.slice(node.from, node.to))).toEqual(node.value);
    for (const entry of node.entries ?? []) {
      expect(JSON.parse(text.slice(entry.from, entry.to))).toBe(entry.name);
      check(text, entry.node);
    }
    for (const item of node.items ?? []) check(text, item);
  };
  fc.assert(
    fc.property(fc.json(), fc.constantFrom(undefined, 2), (text, indent) => {
      const written = JSON.stringify(JSON.parse(text), undefined, indent);
      // Numbers such as -0 are written otherwise than they are read.
      expect(positionedJson(written).value).toEqual(JSON.parse(written));
      check(written, positionedJson(written));
    }),
    { numRuns: 200 },
  );
});

test.each([
  ['', 0, 'a value'],
  ['{"a": }', 6, 'a value'],
  ['{"a": 1,}', 8, 'a name'],
  ['{"a" 1}', 5, 'a colon'],
  ['{"a": 1 "b": 2}', 8, 'a comma or }'],
  ['[1, 2', 5, 'a comma or ]'],
  ['{"a": "x\n"}', 6, 'does not end'],
  ['{} x', 3, 'nothing more'],
  ['{"a": 1, "a": 2}', 9, 'twice'],
  [`${'['.repeat(70)}`, 65, 'too deep'],
])('%j is no JSON, from character %i on', (text, at, why) => {
  expect(() => positionedJson(text)).toThrow(expect.objectContaining({ at, message: expect.stringContaining(why) }));
});
