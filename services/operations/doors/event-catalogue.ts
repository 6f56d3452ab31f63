import { create, type DescField, type DescMessage, getOption, ScalarType } from '@bufbuild/protobuf';
import { event, personal, sealed } from '#gen/causeway/events/v1/options_pb.js';
import {
  type EventConsumer,
  EventConsumerSchema,
  type EventContract,
  EventContractSchema,
  type EventField,
  EventFieldSchema,
} from '#gen/causeway/operations/v1/log_pb.js';
import type { Contracts } from '#kit/contracts.ts';
import type { DescribedSource, ServiceDescription } from '#kit/service-descriptions.ts';
import { exampleOf } from './event-examples.ts';

/** Who says what is said by more than one service. */
const SEVERAL = 'several-services';

/** Where an event is said, and by whom. */
type Origin = DescribedSource & { service: string; subject: string };

/** What contracts say of each event, joined with who says it and who listens. */
export function eventCatalogue(contracts: Contracts, services: readonly ServiceDescription[]): EventContract[] {
  return contracts.events().map((type) => {
    const origin = originOf(type.typeName, services);
    return create(EventContractSchema, {
      type: type.typeName,
      version: versionOf(type),
      kind: getOption(type, event),
      description: contracts.commentOf(type),
      stream: origin?.stream ?? '',
      publisher: origin?.service ?? '',
      subject: origin?.subject ?? '',
      consumers: consumersOf(type.typeName, origin, services),
      fields: type.fields.map((field) => fieldOf(field, contracts)),
      example: JSON.stringify(exampleOf(type, contracts), undefined, 2),
    });
  });
}

/** `v1` of `causeway.orders.v1.OrderPlaced`: a contract of another version has a package of its own. */
function versionOf({ file }: DescMessage): string {
  return file.proto.package.split('.').at(-1) ?? '';
}

function originOf(type: string, services: readonly ServiceDescription[]): Origin | undefined {
  const origins = services.flatMap(({ service, journals, publishes }) => {
    const said = publishes.find(({ eventTypes }) => eventTypes.includes(type));
    if (said === undefined) return [];
    const { stream, aggregate } = said;
    const prefix = journals.find((journal) => journal.stream === stream)?.service;
    return [{ service, stream, aggregate, subject: prefix === undefined ? '' : `${prefix}.event.*.${aggregate}.*` }];
  });
  const [origin] = origins;
  return origin === undefined || origins.length === 1 ? origin : { ...origin, service: SEVERAL };
}

/** Who looks at the type, and where it is said. Where it is said by nobody yet, whoever waits for it. */
function consumersOf(
  type: string,
  origin: DescribedSource | undefined,
  services: readonly ServiceDescription[],
): EventConsumer[] {
  const isFrom = ({ stream, aggregate }: DescribedSource) =>
    origin === undefined || (stream === origin.stream && aggregate === origin.aggregate);
  return services.flatMap(({ service, consumers }) =>
    consumers
      .filter(({ sources, eventTypes }) => eventTypes.includes(type) && sources.some(isFrom))
      .map(({ name, kind }) => create(EventConsumerSchema, { service, name, isProjection: kind === 'projection' })),
  );
}

function fieldOf(field: DescField, contracts: Contracts): EventField {
  const isSealed = getOption(field, sealed);
  return create(EventFieldSchema, {
    name: field.name,
    number: field.number,
    type: typeOf(field),
    repeated: field.fieldKind === 'list',
    description: contracts.commentOf(field) || (isSealed ? 'What is personal, encrypted: stored instead of it.' : ''),
    personal: getOption(field, personal),
  });
}

function typeOf(field: DescField): string {
  const value = field.message?.typeName ?? field.enum?.typeName ?? scalarName(field.scalar);
  return field.fieldKind === 'map' ? `map<${scalarName(field.mapKey)}, ${value}>` : value;
}

function scalarName(type: ScalarType | undefined): string {
  return type === undefined ? '' : ScalarType[type].toLowerCase();
}
