import { expect, test } from 'vitest';
import { documentLines } from './document-lines.ts';

const order = {
  _id: 'o-1',
  status: 'SHIPPED',
  lines: [
    { sku: 'a', quantity: 2 },
    { sku: 'b', quantity: 1 },
  ],
  tags: [],
};

function marked(paths: string[]): string[] {
  return documentLines(JSON.stringify(order), paths)
    .filter(({ isMarked }) => isMarked)
    .map(({ text }) => text.trim());
}

test('a document is shown as JSON that can be read', () => {
  const lines = documentLines(JSON.stringify(order), []);

  expect(lines.map(({ text }) => text).join('\n')).toBe(JSON.stringify(order, undefined, 2));
  expect(lines.some(({ isMarked }) => isMarked)).toBe(false);
});

test('fields that differ are marked where they stand, with all that is in them', () => {
  expect(marked(['status'])).toEqual(['"status": "SHIPPED",']);
  expect(marked(['lines[1].quantity'])).toEqual(['"quantity": 1']);
  expect(marked(['lines[0]'])).toEqual(['{', '"sku": "a",', '"quantity": 2', '},']);
  expect(marked(['quantity', 'lines[2]'])).toEqual([]);
});

test('a document that was cut off is shown as far as it goes; one that is not there has no lines', () => {
  expect(documentLines('{"total":{"units":12', ['total.units'])).toEqual([
    { text: '{"total":{"units":12', isMarked: false },
  ]);
  expect(documentLines('', ['status'])).toEqual([]);
});
