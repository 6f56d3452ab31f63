import { globSync, readdirSync, readFileSync } from 'node:fs';
import { create, type DescMessage, fromJson, type JsonValue, type MessageShape } from '@bufbuild/protobuf';
import { eventFiles } from '#gen/events.js';
import { EventTypes, eventsIn, type Upcaster } from '#kit/event.ts';
import { DataKey, sealed } from '#kit/personal-data.ts';

/**
 * The golden corpus: for every event type ever published, one stored example of each shape that it has had. An
 * example is never changed or removed: it is what stands in somebody's journal.
 */
export type GoldenExample = {
  /** When the example was taken, and of what. */
  note: string;
  headers: Record<string, string>;
  /** The stored bytes, base64. */
  body: string;
  /** What they say, as protobuf JSON, in the clear. */
  says: JsonValue;
};

/** What an aggregate reads of its journal. */
export type Reader = { name: string; events: Record<string, DescMessage>; upcasters?: readonly Upcaster[] };

const root = new URL('../../', import.meta.url);

/** Every type that the platform publishes today. */
export const publishedTypes: DescMessage[] = eventFiles.flatMap(eventsIn);

/** Every aggregate that any service has. */
export const readers: Reader[] = (
  await Promise.all(
    globSync('services/*/adapters/*-aggregate.ts', { cwd: root }).map((path) => import(new URL(path, root).href)),
  )
).flatMap((module) => Object.values<Reader>(module).filter((each) => each.events !== undefined));

export const goldenTypes = new EventTypes(publishedTypes);

/** The key that all examples are sealed with. */
export const goldenKey = new DataKey('Z29sZGVu.1', Buffer.alloc(32, 'golden'));

/** Where the examples are, in the repository. */
export const GOLDEN_FOLDER = 'test/golden/events';

const directory = new URL(`${GOLDEN_FOLDER}/`, root);

/** The examples of every type, by its wire name. */
export function goldenExamples(): Map<string, GoldenExample[]> {
  const files = readdirSync(directory).filter((name) => name.endsWith('.json'));
  return new Map(
    files.map((name) => [name.replace(/\.json$/, ''), JSON.parse(readFileSync(new URL(name, directory), 'utf8'))]),
  );
}

/** Takes an example of a type as it is published today. */
export function takeExample(type: DescMessage, says: JsonValue, key: string, note: string): GoldenExample {
  const data = fromJson(type, says) as MessageShape<DescMessage>;
  return {
    note,
    headers: {
      'ce-specversion': '1.0',
      'ce-id': 'golden-example',
      'ce-source': `/causeway/${type.typeName.split('.')[1]}`,
      'ce-type': type.typeName,
      'ce-time': '2026-11-24T12:00:00.000Z',
      'ce-subject': key,
      'ce-version': '1',
      'ce-correlationid': 'golden-correlation',
      'ce-causationid': 'golden-cause',
      'ce-actor': 'golden-actor',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      'Causeway-Key': goldenKey.id,
    },
    body: Buffer.from(sealed(type, create(type, data), key, goldenKey)).toString('base64'),
    says,
  };
}
