import { type DescEnum, type DescField, type DescMessage, getOption, ScalarType } from '@bufbuild/protobuf';
import { personal, sealed } from '#gen/causeway/events/v1/options_pb.js';
import type { Contracts } from '#kit/contracts.ts';

export type JsonSchema = { [keyword: string]: unknown };

/** Types that have a form of their own in protobuf's JSON. */
const WELL_KNOWN: Record<string, JsonSchema> = {
  'google.protobuf.Timestamp': { type: 'string', format: 'date-time' },
  'google.protobuf.Duration': { type: 'string', pattern: '^-?[0-9]+(\\.[0-9]{1,9})?s$' },
  'google.protobuf.Any': { type: 'object', properties: { '@type': { type: 'string' } }, required: ['@type'] },
};

const WHOLE_32 = { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };
/** JSON's numbers do not hold 64 bits. */
const WHOLE_64 = { type: 'string', pattern: '^-?[0-9]{1,20}$' };
const FRACTION = { type: 'number' };

const SCALARS: Record<ScalarType, JsonSchema> = {
  [ScalarType.STRING]: { type: 'string' },
  [ScalarType.BOOL]: { type: 'boolean' },
  [ScalarType.BYTES]: { type: 'string', contentEncoding: 'base64' },
  [ScalarType.INT32]: WHOLE_32,
  [ScalarType.SINT32]: WHOLE_32,
  [ScalarType.SFIXED32]: WHOLE_32,
  [ScalarType.UINT32]: { type: 'integer', minimum: 0, maximum: 2 ** 32 - 1 },
  [ScalarType.FIXED32]: { type: 'integer', minimum: 0, maximum: 2 ** 32 - 1 },
  [ScalarType.INT64]: WHOLE_64,
  [ScalarType.SINT64]: WHOLE_64,
  [ScalarType.SFIXED64]: WHOLE_64,
  [ScalarType.UINT64]: { type: 'string', pattern: '^[0-9]{1,20}$' },
  [ScalarType.FIXED64]: { type: 'string', pattern: '^[0-9]{1,20}$' },
  [ScalarType.FLOAT]: FRACTION,
  [ScalarType.DOUBLE]: FRACTION,
};

/** JSON Schemas of messages as protobuf's JSON writes them; each message once, by its full name. */
export class PayloadSchemas {
  /** By full name of the message or enum. */
  readonly all: Record<string, JsonSchema> = {};
  readonly #contracts: Contracts;

  constructor(contracts: Contracts) {
    this.#contracts = contracts;
  }

  /** A reference to the schema of a message. What this program has no contract of may say anything. */
  of(typeName: string): JsonSchema {
    const type = this.#contracts.message(typeName);
    return type === undefined ? { type: 'object' } : this.#message(type);
  }

  #message(type: DescMessage): JsonSchema {
    const known = WELL_KNOWN[type.typeName];
    if (known !== undefined) return known;
    return this.#once(type, () => ({
      type: 'object',
      // Readers of an older contract meet newer fields.
      additionalProperties: true,
      properties: Object.fromEntries(type.fields.map((field) => [field.jsonName, this.#field(field)])),
    }));
  }

  #enum(type: DescEnum): JsonSchema {
    return this.#once(type, () => ({ type: 'string', enum: type.values.map(({ name }) => name) }));
  }

  /** Noted before it is made: a message may be inside itself. */
  #once(type: DescMessage | DescEnum, make: () => JsonSchema): JsonSchema {
    const { typeName } = type;
    if (this.all[typeName] === undefined) {
      const schema: JsonSchema = {};
      this.all[typeName] = schema;
      Object.assign(schema, { title: type.name, ...described(this.#contracts.commentOf(type)) }, make());
    }
    return { $ref: `#/components/schemas/${typeName}` };
  }

  #field(field: DescField): JsonSchema {
    const said = {
      ...described(this.#contracts.commentOf(field)),
      ...(getOption(field, personal) ? { 'x-personal': true } : {}),
      ...(getOption(field, sealed) ? { 'x-sealed': true } : {}),
    };
    const schema = this.#whole(field);
    // Beside a reference nothing else is read.
    return '$ref' in schema && Object.keys(said).length > 0 ? { allOf: [schema], ...said } : { ...schema, ...said };
  }

  #whole(field: DescField): JsonSchema {
    if (field.fieldKind === 'list') return { type: 'array', items: this.#single(field) };
    if (field.fieldKind === 'map') return { type: 'object', additionalProperties: this.#single(field) };
    return this.#single(field);
  }

  #single({ message, enum: choice, scalar }: DescField): JsonSchema {
    if (message !== undefined) return this.#message(message);
    return choice === undefined ? { ...SCALARS[scalar ?? ScalarType.STRING] } : this.#enum(choice);
  }
}

function described(comment: string): JsonSchema {
  return comment === '' ? {} : { description: comment };
}
