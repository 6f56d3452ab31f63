import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { useQuery } from '@connectrpc/connect-query';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import { Badge } from '../../parts/badge.tsx';
import { isKept } from './letter-json.ts';

/** The fields that an event's contract has; what they mean, where the catalogue says so. */
export function ContractFields({ type }: { type: DescMessage }) {
  const { data } = useQuery(
    OperationsService.method.getEventCatalogue,
    {},
    { staleTime: Number.POSITIVE_INFINITY, retry: false },
  );
  const known = data?.events.find((event) => event.type === type.typeName)?.fields ?? [];
  const meanings = new Map(known.map(({ name, description }) => [name, description]));
  return (
    <section aria-label="Fields of the contract" className="contract">
      <h3>Fields</h3>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard. */}
      <ul className="plain" tabIndex={0}>
        {fieldsOf(type, '').map(({ path, field }) => (
          <li key={path}>
            <code>{path}</code> <span className="muted">{typeText(field)}</span>{' '}
            {isKept(field) && <Badge tone="idle">sealed, stays as it was</Badge>}
            <div className="muted">{meanings.get(path) ?? meanings.get(field.name)}</div>
          </li>
        ))}
      </ul>
    </section>
  );
}

type Shown = { path: string; field: DescField };

/** The fields, and those of the messages in them; what is sealed is shown as one. */
function fieldsOf(type: DescMessage, prefix: string): Shown[] {
  return type.fields.flatMap((field) => {
    const path = `${prefix}${field.jsonName}${field.fieldKind === 'list' ? '[]' : ''}`;
    const inner = field.message;
    const isLeaf = inner === undefined || isKept(field) || inner.typeName.startsWith('google.') || prefix !== '';
    return [{ path, field }, ...(isLeaf ? [] : fieldsOf(inner, `${path}.`))];
  });
}

function typeText(field: DescField): string {
  if (field.fieldKind === 'map') return 'map';
  const name =
    field.message !== undefined
      ? field.message.name
      : field.enum !== undefined
        ? field.enum.values.map((value) => value.name).join(' | ')
        : field.scalar === undefined
          ? ''
          : (ScalarType[field.scalar] ?? '').toLowerCase();
  return field.fieldKind === 'list' ? `list of ${name}` : name;
}
