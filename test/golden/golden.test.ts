import { type DescMessage, toJson } from '@bufbuild/protobuf';
import { headers } from '@nats-io/transport-node';
import { describe, expect, test } from 'vitest';
import { type EventTypes, readEvent } from '#kit/event.ts';
import { subjectOf } from '#kit/partitions.ts';
import { breakingReference, filesAt, textAt } from '../check/breaking-reference.ts';
import {
  GOLDEN_FOLDER,
  type GoldenExample,
  goldenExamples,
  goldenKey,
  goldenTypes,
  publishedTypes,
  readers,
} from './corpus.ts';
import { fieldsWithoutExample, lostExamples, readerOf, unreadableTypes } from './problems.ts';

const examples = goldenExamples();

describe('the golden corpus', () => {
  test.each(publishedTypes)('has an example of each field of $typeName', (type) => {
    const says = (examples.get(type.typeName) ?? []).map((example) => example.says);

    expect(says.length, `add one with: npm run golden -- ${type.typeName}`).toBeGreaterThan(0);
    expect(fieldsWithoutExample(type, says), `add one with: npm run golden -- ${type.typeName}`).toEqual([]);
  });

  const all = [...examples].flatMap(([typeName, list]) => list.map((example) => ({ typeName, example, ...example })));
  test.each(all)('$typeName, $note, is read as what it says', async ({ example, says }) => {
    const event = await read(example, goldenTypes);

    expect(toJson(goldenTypes.type(event.data.$typeName), event.data)).toEqual(says);
    expect(event.data.$unknown ?? []).toEqual([]);
    expect(event.version).toBe(1);
    expect(event.correlationId).toBe('golden-correlation');
  });

  test('is read by the aggregates, each event by the one whose journal it stands in', () => {
    expect(unreadableTypes(publishedTypes, readers)).toEqual([]);
  });

  const owned = all.flatMap((each) => {
    const found = readerOf(goldenTypes.type(each.typeName), readers);
    return found === undefined ? [] : [{ ...each, ...found }];
  });
  test.each(owned)("$typeName, $note, is an event of today's to its aggregate", async ({ example, reader, types }) => {
    const event = await read(example, types);

    const today: DescMessage[] = Object.values(reader.events);
    expect(today.map(({ typeName }) => typeName)).toContain(event.data.$typeName);
  });

  const root = new URL('../..', import.meta.url).pathname;
  const reference = breakingReference(root);
  const before = reference === undefined ? [] : filesAt(root, reference.commit, GOLDEN_FOLDER);
  test(`has all that it had at ${reference?.name ?? 'the main branch (which is not here)'}, unchanged`, () => {
    const lost = before.flatMap((path) => {
      const then: GoldenExample[] = JSON.parse(textAt(root, reference?.commit ?? '', path) ?? '[]');
      const now = examples.get(path.replace(`${GOLDEN_FOLDER}/`, '').replace(/\.json$/, '')) ?? [];
      return lostExamples(then, now).map((note) => `${path}: ${note}`);
    });

    expect(lost).toEqual([]);
  });
});

function read({ headers: stored, body }: GoldenExample, types: EventTypes) {
  const head = headers();
  for (const [name, value] of Object.entries(stored)) head.set(name, value);
  const service = (stored['ce-source'] ?? '').replace('/causeway/', '');
  return readEvent(
    {
      subject: subjectOf(service, 'golden', stored['ce-subject'] ?? ''),
      stream: service.toUpperCase(),
      sequence: 1,
      data: Buffer.from(body, 'base64'),
      headers: head,
    },
    types,
    { find: async (id) => (id === goldenKey.id ? goldenKey : undefined) },
  );
}
