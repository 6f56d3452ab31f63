import type { ConsumerNode, FlowGraph, JournalNode, ServiceNode } from './flow-graph.ts';

export type Box = { id: string; x: number; y: number; width: number; height: number };

/** What flows from one node to another. */
export type Edge = {
  id: string;
  from: string;
  to: string;
  kind: 'says' | 'acts' | 'views';
  path: string;
};

export type MapLayout = { width: number; height: number; boxes: ReadonlyMap<string, Box>; edges: Edge[] };

export const HEAD = 29;
const ROW = 20;
const FOOT = 5;
const CARD_GAP = 9;
const JOURNAL_HEIGHT = 38;
const JOURNAL_GAP = 10;
/** What follows nearly everything has many lines: they are not to pull everything to it. */
const MANY_LINES = 3;
const PULL_OF_MANY = 0.3;
const ROUNDS = 12;

/** In which order everything stands, from the top. */
type Order = { left: ServiceNode[]; right: ServiceNode[]; journals: JournalNode[] };

/**
 * Where everything is drawn: journals down the middle, services on both sides of them, each with its consumers, in an
 * order that has short lines. Made from what there is, never from how it is at the moment, so that nothing moves while
 * somebody looks.
 */
export function layoutMap(graph: FlowGraph, width: number): MapLayout {
  const order = shortened(graph, width);
  const { boxes, height } = placed(order, width);
  return { width, height, boxes, edges: edgesBetween(graph, boxes) };
}

/** What the layout is made from: while it stays the same, so does the layout. */
export function structureOf({ services, journals, consumers }: FlowGraph): string {
  const readers = consumers.map(({ id, inflows }) => [id, ...inflows.map(({ stream }) => stream)].join(' '));
  const writers = journals.map(({ id, service }) => `${id} ${service}`);
  return [...services.map(({ id }) => id), ...writers, ...readers].join('\n');
}

/** Begins with sides of the same height, and swaps two services or two journals for as long as that makes it better. */
function shortened(graph: FlowGraph, width: number): Order {
  let best = firstOrder(graph);
  let bestCost = costOf(best, graph, width);
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = bestCost;
    for (const candidate of swaps(best)) {
      const order = candidate();
      const cost = costOf(order, graph, width);
      if (cost < bestCost) [best, bestCost] = [order, cost];
    }
    if (bestCost === before) break;
  }
  return best;
}

/** The highest first, each to the side that is lower. */
function firstOrder({ services, journals }: FlowGraph): Order {
  const order: Order = { left: [], right: [], journals: [...journals] };
  const highestFirst = services.toSorted(
    (one, other) => cardHeight(other) - cardHeight(one) || compare(one.name, other.name),
  );
  for (const service of highestFirst) {
    const side = stackHeight(order.left) <= stackHeight(order.right) ? order.left : order.right;
    side.push(service);
  }
  return order;
}

/** Each swap is made from the best order at the time when it is tried. */
function swaps({ left, right, journals }: Order): (() => Order)[] {
  const services = [...left, ...right];
  const pairs = <Item>(items: readonly Item[]) =>
    items.flatMap((one, index) => items.slice(index + 1).map((other) => [one, other] as const));
  const swapped = <Item>(items: readonly Item[], [one, other]: readonly [Item, Item]) =>
    items.map((item) => (item === one ? other : item === other ? one : item));
  return [
    ...pairs(services).map((pair) => () => ({ left: swapped(left, pair), right: swapped(right, pair), journals })),
    ...pairs(journals).map((pair) => () => ({ left, right, journals: swapped(journals, pair) })),
  ];
}

/** How long the lines are, and how high it is; a little, how far down the journals stand that most follow. */
function costOf(order: Order, { consumers, journals, services }: FlowGraph, width: number): number {
  const { boxes, height } = placed(order, width);
  let cost = height * 4;
  for (const service of services) {
    for (const { id } of service.journals) cost += 2 * Math.abs(middle(boxes, id) - lineEnd(boxes, service.id));
  }
  for (const { id, inflows } of consumers) {
    const pull = inflows.length > MANY_LINES ? PULL_OF_MANY : 1;
    for (const { stream } of inflows) cost += pull * Math.abs(middle(boxes, `journal/${stream}`) - middle(boxes, id));
  }
  for (const { id, stream } of journals) {
    const followers = consumers.filter(({ inflows }) => inflows.some((inflow) => inflow.stream === stream)).length;
    cost += followers * middle(boxes, id) * 0.05;
  }
  return cost;
}

function placed(order: Order, width: number): { boxes: Map<string, Box>; height: number } {
  const card = Math.round(width * 0.315);
  const journal = Math.round(Math.min(160, width * 0.17));
  const journalsHeight = order.journals.length * (JOURNAL_HEIGHT + JOURNAL_GAP) - JOURNAL_GAP;
  const height = Math.max(stackHeight(order.left), stackHeight(order.right), journalsHeight, 0);
  const boxes = new Map<string, Box>();
  placeServices(boxes, order.left, { x: 0, width: card, height });
  placeServices(boxes, order.right, { x: width - card, width: card, height });
  placeJournals(boxes, order.journals, { x: Math.round((width - journal) / 2), width: journal, height });
  return { boxes, height };
}

function cardHeight({ consumers }: ServiceNode): number {
  return HEAD + consumers.length * ROW + (consumers.length > 0 ? FOOT : 0);
}

function stackHeight(services: readonly ServiceNode[]): number {
  return services.reduce((sum, service) => sum + cardHeight(service) + CARD_GAP, -CARD_GAP);
}

type Column = { x: number; width: number; height: number };

/** One below the other, what is to spare between them. */
function placeServices(boxes: Map<string, Box>, stack: readonly ServiceNode[], { x, width, height }: Column): void {
  const gap = CARD_GAP + (stack.length > 1 ? (height - stackHeight(stack)) / (stack.length - 1) : 0);
  let y = 0;
  for (const service of stack) {
    const box = { id: service.id, x, y: Math.round(y), width, height: cardHeight(service) };
    boxes.set(service.id, box);
    service.consumers.forEach(({ id }, index) => {
      boxes.set(id, { ...box, id, y: box.y + HEAD + index * ROW, height: ROW });
    });
    y += box.height + gap;
  }
}

function placeJournals(boxes: Map<string, Box>, journals: readonly JournalNode[], { x, width, height }: Column): void {
  const room = height / Math.max(1, journals.length);
  journals.forEach(({ id }, index) => {
    const y = Math.round(index * room + (room - JOURNAL_HEIGHT) / 2);
    boxes.set(id, { id, x, y, width, height: JOURNAL_HEIGHT });
  });
}

type Line = Omit<Edge, 'path' | 'id'>;

function edgesBetween({ services, consumers }: FlowGraph, boxes: ReadonlyMap<string, Box>): Edge[] {
  const lines: Line[] = [
    ...services.flatMap(({ id, journals }) => journals.map((to) => ({ from: id, to: to.id, kind: 'says' as const }))),
    ...consumers.flatMap(linesTo),
  ];
  const ports = journalPorts(lines, boxes);
  return lines.map((line) => ({ ...line, id: edgeId(line), path: pathOf(line, boxes, ports) }));
}

function linesTo({ id, isView, inflows }: ConsumerNode): Line[] {
  return inflows.map(({ stream }) => ({ from: `journal/${stream}`, to: id, kind: isView ? 'views' : 'acts' }));
}

function edgeId({ from, to }: Line): string {
  return `${from} ${to}`;
}

/** Lines do not end in one point of a journal, but one below the other, in the order of where they lead. */
function journalPorts(lines: readonly Line[], boxes: ReadonlyMap<string, Box>): ReadonlyMap<string, number> {
  const ports = new Map<string, number>();
  const bySide = Map.groupBy(lines, (line) => `${journalOf(line)} ${isLeft(boxes, line)}`);
  for (const atSide of bySide.values()) {
    const ordered = sortedBy(atSide, (line) => lineEnd(boxes, otherOf(line)), edgeId);
    ordered.forEach((line, index) => {
      const box = boxes.get(journalOf(line));
      const inset = 8;
      const step = ((box?.height ?? 0) - 2 * inset) / ordered.length;
      ports.set(edgeId(line), (box?.y ?? 0) + inset + step * (index + 0.5));
    });
  }
  return ports;
}

function journalOf({ kind, from, to }: Line): string {
  return kind === 'says' ? to : from;
}

function otherOf({ kind, from, to }: Line): string {
  return kind === 'says' ? from : to;
}

function isLeft(boxes: ReadonlyMap<string, Box>, line: Line): boolean {
  return boxes.get(otherOf(line))?.x === 0;
}

/** A service's own line begins at its name. */
function lineEnd(boxes: ReadonlyMap<string, Box>, id: string): number {
  const box = boxes.get(id);
  if (box === undefined) return 0;
  return id.startsWith('service/') ? box.y + HEAD / 2 : box.y + box.height / 2;
}

function pathOf(line: Line, boxes: ReadonlyMap<string, Box>, ports: ReadonlyMap<string, number>): string {
  const journal = boxes.get(journalOf(line));
  const other = boxes.get(otherOf(line));
  if (journal === undefined || other === undefined) return '';
  const left = isLeft(boxes, line);
  const atJournal = { x: left ? journal.x : journal.x + journal.width, y: ports.get(edgeId(line)) ?? 0 };
  const atOther = { x: left ? other.x + other.width : other.x, y: lineEnd(boxes, other.id) };
  const [from, to] = line.kind === 'says' ? [atOther, atJournal] : [atJournal, atOther];
  const bend = (to.x - from.x) / 2;
  return `M${from.x},${from.y} C${from.x + bend},${from.y} ${to.x - bend},${to.y} ${to.x},${to.y}`;
}

function middle(boxes: ReadonlyMap<string, Box>, id: string): number {
  const box = boxes.get(id);
  return box === undefined ? 0 : box.y + box.height / 2;
}

function sortedBy<Item>(items: readonly Item[], by: (item: Item) => number, name: (item: Item) => string): Item[] {
  return items.toSorted((one, other) => by(one) - by(other) || compare(name(one), name(other)));
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}

export type Direction = 'up' | 'down' | 'left' | 'right';

/** The nearest node in a direction, for arrow keys; undefined at the edge. */
export function nextNode({ boxes }: MapLayout, from: string, direction: Direction): string | undefined {
  const here = boxes.get(from);
  if (here === undefined) return undefined;
  const along = direction === 'up' || direction === 'down';
  const sign = direction === 'up' || direction === 'left' ? -1 : 1;
  const candidates = [...boxes.values()].filter((box) =>
    along ? box.x === here.x && (top(box) - top(here)) * sign > 0 : (box.x - here.x) * sign > 0,
  );
  const far = (box: Box) =>
    along ? Math.abs(top(box) - top(here)) : Math.abs(box.x - here.x) * 1_000 + Math.abs(top(box) - top(here));
  return sortedBy(candidates, far, ({ id }) => id)[0]?.id;
}

/** Where a node's name stands. */
function top({ id, y }: Box): number {
  return id.startsWith('service/') ? y + HEAD / 2 : y + ROW / 2;
}
