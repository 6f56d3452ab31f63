import { type DescField, type DescMessage, getOption, hasOption, type MessageShape } from '@bufbuild/protobuf';
import { pathToString, type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { createValidator } from '@bufbuild/protovalidate';
import { field as rulesOf } from '#gen/buf/validate/validate_pb.js';
import { CallError, invalid } from '../errors.ts';

/**
 * The rules' patterns are the contract's own, anchored and without repetition inside repetition, so the language's own
 * expressions match them in linear time too, and faster than RE2 in JavaScript.
 */
const validator = createValidator({ regexMatch });

const expressions = new Map<string, RegExp>();

function regexMatch(pattern: string, text: string): boolean {
  let expression = expressions.get(pattern);
  if (expression === undefined) {
    expression = new RegExp(pattern, 'u');
    expressions.set(pattern, expression);
  }
  return expression.test(text);
}

/** More would be said to nobody's use, and an error has to fit into a trailer. */
const NAMED_FIELDS = 10;
/** The rest is in the details. */
const FIELDS_IN_MESSAGE = 3;

/**
 * Checks a request against the rules in its contract.
 * @throws CallError INVALID_ARGUMENT that names each field, such as `lines[2].quantity`; at most ten.
 */
export function validate(type: DescMessage, request: MessageShape<DescMessage>): void {
  refuseLongLists(reflect(type, request, false), '');
  const result = validator.validate(type, request);
  if (result.kind === 'valid') return;
  if (result.kind === 'error') throw result.error;
  const violations = result.violations

    .slice(0, NAMED_FIELDS)
    .map(({ field, message }) => ({ field: pathToString(field), description: message }));
  const said = violations.slice(0, FIELDS_IN_MESSAGE).map(({ field, description }) => `${field}: ${description}`);
  const more = result.violations.length - said.length;
  const message = more === 0 ? said.join('; ') : `${said.join('; ')}; and ${more} more`;
  throw new CallError('INVALID_ARGUMENT', message, { violations });
}

/**
 * The validator looks at every item of a list, however long that is: half a million bad ones in a request of a
 * megabyte kept everybody waiting for seconds. So a list's length comes first.
 */
function refuseLongLists(message: ReflectMessage, path: string): void {
  for (const { field, maxItems } of holdersOf(message.desc)) {
    const at = `${path}${field.name}`;
    if (field.fieldKind === 'list') {
      const list = message.get(field);
      if (list.size > maxItems) throw invalid(at, `must have at most ${maxItems} items`);
      if (field.listKind !== 'message' || holdersOf(field.message).length === 0) continue;
      let index = 0;
      for (const item of list) refuseLongLists(item as ReflectMessage, `${at}[${index++}].`);
    } else if (field.fieldKind === 'message' && message.isSet(field) && holdersOf(field.message).length > 0) {
      refuseLongLists(message.get(field), `${at}.`);
    }
  }
}

type Holder = { field: DescField; maxItems: number };

const holders = new Map<DescMessage, Holder[]>();

/** The fields of a message that are lists, or may hold some. */
function holdersOf(type: DescMessage): Holder[] {
  let found = holders.get(type);
  if (found === undefined) {
    found = type.fields
      .filter(({ fieldKind }) => fieldKind === 'list' || fieldKind === 'message')
      .map((field) => ({ field, maxItems: maxItemsOf(field) }));
    holders.set(type, found);
  }
  return found;
}

function maxItemsOf(field: DescField): number {
  const rules = hasOption(field, rulesOf) ? getOption(field, rulesOf) : undefined;
  return rules?.type.case === 'repeated' && rules.type.value.maxItems !== 0n
    ? Number(rules.type.value.maxItems)
    : Number.POSITIVE_INFINITY;
}
