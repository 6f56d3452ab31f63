import {
  ConsumerKind,
  type JournalFlow,
  type Retrying,
  type ServiceState,
  ServiceStatus,
  type WatchOverviewResponse,
} from '#gen/causeway/operations/v1/flow_pb.js';

/** How a node is: the worst of what is known of it. */
type Standing = 'fine' | 'behind' | 'retrying' | 'troubled';

/** What a consumer has from one stream. */
export type Inflow = {
  stream: string;
  rate: number;
  lag: number;
  redelivered: number;
  parked: number;
  trouble: string;
};

export type ConsumerNode = {
  id: string;
  /** As dead letters and the command line name it. */
  name: string;
  /** As it is called among its service's. */
  label: string;
  service: string;
  isView: boolean;
  standing: Standing;
  rate: number;
  lag: number;
  redelivered: number;
  parked: number;
  trouble: string;
  inflows: Inflow[];
  retrying: Retrying[];
};

export type JournalNode = {
  id: string;
  stream: string;
  /** Who publishes to it; empty where that is not known. */
  service: string;
  flow: JournalFlow | undefined;
  rate: number;
  standing: Standing;
};

export type ServiceNode = {
  id: string;
  name: string;
  state: ServiceState | undefined;
  standing: Standing;
  consumers: ConsumerNode[];
  journals: JournalNode[];
};

export type FlowGraph = { services: ServiceNode[]; journals: JournalNode[]; consumers: ConsumerNode[] };

/** A journal as full as this is nearly full: it takes nothing more at 1. */
const NEARLY_FULL = 0.8;
/** So many messages wait, and so many seconds' worth of them, before a consumer counts as behind. */
const BEHIND_MESSAGES = 50;
const BEHIND_SECONDS = 5;

/** Services, journals and consumers, and how each of them is. What nobody has told of yet appears as soon as somebody does. */
export function flowGraph({ services, journals, consumers }: WatchOverviewResponse): FlowGraph {
  const streams = new Set([...journals.map(({ stream }) => stream), ...consumers.map(({ stream }) => stream)]);
  const journalNodes = [...streams].sort().map((stream) =>
    journalNode(
      stream,
      journals.find((each) => each.stream === stream),
    ),
  );
  const retrying = services.flatMap(({ instances }) => instances).flatMap((instance) => instance.retrying);
  const consumerNodes = consumersByName(consumers, retrying);
  const names = new Set([
    ...services.map(({ name }) => name),
    ...consumerNodes.map(({ service }) => service),
    ...journalNodes.map(({ service }) => service).filter((service) => service !== ''),
  ]);
  const serviceNodes = [...names].sort().map((name) => ({
    id: `service/${name}`,
    name,
    state: services.find((each) => each.name === name),
    standing: serviceStanding(services.find((each) => each.name === name)),
    consumers: consumerNodes.filter(({ service }) => service === name),
    journals: journalNodes.filter(({ service }) => service === name),
  }));
  return { services: serviceNodes, journals: journalNodes, consumers: serviceNodes.flatMap((each) => each.consumers) };
}

function journalNode(stream: string, flow: JournalFlow | undefined): JournalNode {
  return {
    id: `journal/${stream}`,
    stream,
    service: flow?.service ?? '',
    flow,
    rate: flow?.eventsPerSecond ?? 0,
    standing: (flow?.fullness ?? 0) >= NEARLY_FULL ? 'troubled' : 'fine',
  };
}

function serviceStanding(state: ServiceState | undefined): Standing {
  return state === undefined || state.status === ServiceStatus.UP ? 'fine' : 'troubled';
}

function consumersByName(flows: WatchOverviewResponse['consumers'], retrying: readonly Retrying[]): ConsumerNode[] {
  const byName = Map.groupBy(flows, ({ name }) => name);
  const nodes = [...byName].map(([name, parts]) => {
    const inflows = parts.map((part) => ({
      stream: part.stream,
      rate: part.messagesPerSecond,
      lag: Number(part.lag),
      redelivered: part.redeliveredPerSecond,
      parked: Number(part.parkedMessages),
      trouble: part.trouble,
    }));
    const sum = (of: (inflow: Inflow) => number) => inflows.reduce((total, inflow) => total + of(inflow), 0);
    const [first] = parts;
    const node = {
      id: `consumer/${name}`,
      name,
      service: first?.service ?? '',
      isView: first?.kind === ConsumerKind.PROJECTION,
      rate: sum(({ rate }) => rate),
      lag: sum(({ lag }) => lag),
      redelivered: sum(({ redelivered }) => redelivered),
      // A view of several journals has its dead letters in one place.
      parked: Math.max(...inflows.map(({ parked }) => parked)),
      trouble: [...new Set(inflows.map(({ trouble }) => trouble))].filter((trouble) => trouble !== '').join('; '),
      inflows,
      retrying: retrying.filter(({ consumer }) => consumer === name),
    };
    return { ...node, label: '', standing: consumerStanding(node) };
  });
  // Reactions first: they are what makes the platform go on.
  nodes.sort((one, other) => Number(one.isView) - Number(other.isView) || (one.name < other.name ? -1 : 1));
  return nodes.map((node) => ({ ...node, label: labelOf(node, nodes) }));
}

function consumerStanding(node: Omit<ConsumerNode, 'label' | 'standing'>): Standing {
  if (node.trouble !== '' || node.parked > 0) return 'troubled';
  if (node.retrying.length > 0 || node.redelivered > 0) return 'retrying';
  return node.lag > Math.max(BEHIND_MESSAGES, node.rate * BEHIND_SECONDS) ? 'behind' : 'fine';
}

type Named = { name: string; service: string };

/** Short, and different from the service's others: `authorize-payment-on-payment-requested` is `authorize payment`. */
function labelOf(node: Named, all: readonly Named[]): string {
  const others = all.filter(({ name, service }) => service === node.service && name !== node.name);
  const short = shortLabel(node);
  return others.some((other) => shortLabel(other) === short) ? ownName(node).replaceAll('-', ' ') : short;
}

function shortLabel(node: Named): string {
  return ownName(node)
    .replace(/-on-.+$/, '')
    .replace(/_v\d+$/, '')
    .replaceAll('-', ' ');
}

function ownName({ name, service }: Named): string {
  const own = name.startsWith(`${service}-`) ? name.slice(service.length + 1) : name;
  return own.replace(/_v\d+_b(\d+)$/, ' build $1');
}

/** The nodes that a node is connected with, itself included. */
export function neighbours({ services, journals, consumers }: FlowGraph, id: string): ReadonlySet<string> {
  const found = new Set([id]);
  const belongsTo = (service: string) => services.find(({ name }) => name === service)?.id ?? '';
  for (const { id: consumer, service, inflows } of consumers) {
    const sources = inflows.map(({ stream }) => `journal/${stream}`);
    if (id !== consumer && id !== belongsTo(service) && !sources.includes(id)) continue;
    for (const each of [consumer, belongsTo(service)]) found.add(each);
    if (!sources.includes(id)) for (const source of sources) found.add(source);
  }
  for (const { id: journal, service } of journals) {
    if (id === journal) found.add(belongsTo(service));
    if (id === belongsTo(service)) found.add(journal);
  }
  return found;
}
