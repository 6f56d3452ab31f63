import { type DescMessage, toJson } from '@bufbuild/protobuf';
import { headers } from '@nats-io/transport-node';
import { describe, expect, test } from 'vitest';
import { readEvent } from '#kit/event.ts';
import { subjectOf } from '#kit/partitions.ts';
import { goldenExamples, goldenKey, goldenTypes, publishedTypes } from './corpus.ts';

const examples = goldenExamples();

describe('the golden corpus', () => {
  test.each(publishedTypes.map(({ typeName }) => typeName))('has an example of %s', (typeName) => {
    expect(examples.get(typeName)?.length ?? 0, `add one with: node test/golden/add.ts ${typeName}`).toBeGreaterThan(0);
  });

  const all = [...examples].flatMap(([typeName, list]) => list.map((example) => ({ typeName, ...example })));
  test.each(all)('$typeName, $note, is read as what it says', async ({ typeName, headers: stored, body, says }) => {
    const head = headers();
    for (const [name, value] of Object.entries(stored)) head.set(name, value);
    const service = typeName.split('.')[1] ?? '';
    const event = await readEvent(
      {
        subject: subjectOf(service, 'golden', stored['ce-subject'] ?? ''),
        stream: service.toUpperCase(),
        sequence: 1,
        data: Buffer.from(body, 'base64'),
        headers: head,
      },
      goldenTypes,
      { find: async (id) => (id === goldenKey.id ? goldenKey : undefined) },
    );
    const type: DescMessage = goldenTypes.type(event.data.$typeName);
    expect(toJson(type, event.data)).toEqual(says);
    expect(event.version).toBe(1);
    expect(event.correlationId).toBe('golden-correlation');
  });
});
