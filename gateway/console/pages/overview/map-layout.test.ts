import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { ConsumerKind, WatchOverviewResponseSchema } from '#gen/causeway/operations/v1/flow_pb.js';
import { flowGraph } from './flow-graph.ts';
import { type Box, layoutMap, nextNode, structureOf } from './map-layout.ts';

const WIDTH = 900;

/** Nine services with a journal and four consumers each; one of them follows every journal. */
function platform(rate = 1) {
  const names = Array.from({ length: 9 }, (_, index) => `service-${index}`);
  const streamOf = (index: number) => `STREAM_${index % names.length}`;
  return flowGraph(
    create(WatchOverviewResponseSchema, {
      journals: names.map((service, index) => ({ stream: streamOf(index), service, eventsPerSecond: rate })),
      consumers: names.flatMap((service, index) => [
        ...[1, 2, 3].map((step) => ({
          name: `${service}-act-${step}`,
          service,
          kind: ConsumerKind.REACTION,
          stream: streamOf(index + step),
          messagesPerSecond: rate,
        })),
        ...(index === 4 ? names.map((_, each) => each) : [index]).map((each) => ({
          name: `${service}-view_v1`,
          service,
          kind: ConsumerKind.PROJECTION,
          stream: streamOf(each),
        })),
      ]),
    }),
  );
}

function overlaps(one: Box, other: Box): boolean {
  return (
    one.x < other.x + other.width &&
    other.x < one.x + one.width &&
    one.y < other.y + other.height &&
    other.y < one.y + one.height
  );
}

test('everything has its place within the map, and nothing stands on something else', () => {
  const graph = platform();
  const { boxes, width, height } = layoutMap(graph, WIDTH);
  const all = [...graph.services, ...graph.journals].map(({ id }) => boxes.get(id) as Box);

  for (const [index, box] of all.entries()) {
    expect(box.x >= 0 && box.y >= 0 && box.x + box.width <= width && box.y + box.height <= height).toBe(true);
    expect(all.slice(index + 1).filter((other) => overlaps(box, other))).toEqual([]);
  }
  for (const { id, consumers } of graph.services) {
    const rows = consumers.map((consumer) => boxes.get(consumer.id) as Box);
    const card = boxes.get(id) as Box;
    expect(rows.every((row) => row.y >= card.y && row.y + row.height <= card.y + card.height)).toBe(true);
  }
});

test('both sides are about as high', () => {
  const graph = platform();
  const { boxes, height } = layoutMap(graph, WIDTH);
  const cards = graph.services.map(({ id }) => (boxes.get(id) as Box).height);

  expect(height).toBeLessThan((cards.reduce((sum, card) => sum + card, 0) / 2) * 1.4);
});

test('each line is drawn once: from who says it to the journal, and from the journal to who listens', () => {
  const { edges } = layoutMap(platform(), WIDTH);

  expect(edges.filter(({ kind }) => kind === 'says')).toHaveLength(9);
  expect(edges.filter(({ kind }) => kind === 'acts')).toHaveLength(27);
  expect(edges.filter(({ kind }) => kind === 'views')).toHaveLength(8 + 9);
  expect(new Set(edges.map(({ id }) => id)).size).toBe(edges.length);
  for (const { path } of edges) expect(path).toMatch(/^M[\d.]+,[\d.]+ C/);
});

test('nothing moves because more flows; a service that is new gets its place', () => {
  const [calm, busy] = [platform(1), platform(900)];
  expect(structureOf(calm)).toBe(structureOf(busy));
  expect(layoutMap(calm, WIDTH)).toEqual(layoutMap(busy, WIDTH));

  const wider = { ...calm, services: [...calm.services, { ...calm.services[0], id: 'service/new', name: 'new' }] };
  expect(structureOf(wider as typeof calm)).not.toBe(structureOf(calm));
});

test('arrow keys reach every node', () => {
  const layout = layoutMap(platform(), WIDTH);
  const reached = new Set(['service/service-0']);
  for (const id of reached) {
    for (const direction of ['up', 'down', 'left', 'right'] as const) {
      const next = nextNode(layout, id, direction);
      if (next !== undefined) reached.add(next);
    }
  }

  expect(reached.size).toBe(layout.boxes.size);
});

test('a platform of which nothing is known has an empty map', () => {
  expect(layoutMap(flowGraph(create(WatchOverviewResponseSchema)), WIDTH)).toMatchObject({ height: 0, edges: [] });
});
