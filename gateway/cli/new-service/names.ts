/** A name of several words in each form that source code has for it. */
type Forms = { kebab: string; snake: string; camel: string; pascal: string; capitals: string; prose: string };

/** What a new service is called: itself, what its decider decides about, and several of that. */
export type NewService = { service: Forms; aggregate: Forms; aggregates: Forms };

/** The template's own names: two words each, so that no form of one can be taken for another. */
export const templateNames: NewService = {
  service: formsOf('blank-slate'),
  aggregate: formsOf('blank-page'),
  aggregates: formsOf('blank-pages'),
};

/** A name that can't be taken. The message says why. */
export class NameError extends Error {
  override name = 'NameError';
}

const NAME = /^[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*$/;
/** Kubernetes, JetStream, MongoDB and the contract's rule for streams have room for it, with what stands around it. */
const MAX_LENGTH = 28;

/** Words that mean something else in a contract, in source code, in a subject or among the platform's folders. */
const RESERVED = new Set(
  `gateway kit gen test bench docs deploy proto google buf causeway events rpc public notices live dead dead-letters
  service services template error errors any bool bytes double enum extend extensions fixed32 fixed64 float import int32
  int64 map message oneof option optional package repeated required reserved returns rpc sfixed32 sfixed64 sint32 sint64
  stream string syntax to uint32 uint64 abstract arguments as async await boolean break case catch class const continue
  debugger default delete do else eval export extends false finally for from function get if implements in instanceof
  interface is let module namespace new null number object of private protected prototype constructor set static super
  switch symbol this throw true try type typeof undefined unknown var void while with yield`.split(/\s+/),
);

/**
 * The names that a service is written with.
 * @param aggregate what its decider decides about; left out: one of what the service is called.
 * @throws NameError for a name that can't be one.
 */
export function namesOf(service: string, aggregate: string = oneOf(service)): NewService {
  for (const name of [service, aggregate]) {
    if (!NAME.test(name))
      throw new NameError(`${JSON.stringify(name)} is no name such as gift-cards: a-z, 0-9, dashes`);
    if (name.length > MAX_LENGTH) throw new NameError(`${name} is longer than ${MAX_LENGTH} characters`);
    if (RESERVED.has(name) || /blank-(slate|page)/.test(name))
      throw new NameError(`${name} means something else already`);
  }
  if (/(^|-)service$/.test(aggregate)) throw new NameError(`${aggregate}: the contract's service is called so`);
  return { service: formsOf(service), aggregate: formsOf(aggregate), aggregates: formsOf(severalOf(aggregate)) };
}

function formsOf(kebab: string): Forms {
  const words = kebab.split('-');
  const pascal = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
  return {
    kebab,
    snake: words.join('_'),
    camel: pascal.charAt(0).toLowerCase() + pascal.slice(1),
    pascal,
    capitals: words.join('_').toUpperCase(),
    prose: words.join(' '),
  };
}

function oneOf(name: string): string {
  if (name.endsWith('ies')) return `${name.slice(0, -3)}y`;
  if (/(ss|us|is)$/.test(name)) return name;
  if (/(s|x|z|ch|sh)es$/.test(name)) return name.slice(0, -2);
  return name.endsWith('s') ? name.slice(0, -1) : name;
}

function severalOf(name: string): string {
  if (/[^aeiou]y$/.test(name)) return `${name.slice(0, -1)}ies`;
  return /(s|x|z|ch|sh)$/.test(name) ? `${name}es` : `${name}s`;
}

/** A text or a path of the template, in the names of a new service. */
export function renamed(text: string, to: NewService): string {
  const pairs = (['aggregates', 'aggregate', 'service'] as const).flatMap((what) =>
    (Object.keys(to[what]) as (keyof Forms)[]).map((form) => [templateNames[what][form], to[what][form]] as const),
  );
  const sentences = (['aggregates', 'aggregate', 'service'] as const).map(
    (what) => [capitalised(templateNames[what].prose), capitalised(to[what].prose)] as const,
  );
  const withArticles = /^[aeiou]/.test(to.aggregate.kebab)
    ? text.replaceAll(/\b([Aa]) (?=blank[ -]page)/g, '$1n ')
    : text;
  return [...pairs, ...sentences].reduce((before, [from, into]) => before.replaceAll(from, into), withArticles);
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
