import { randomUUID } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SCALING_LIST, scaledObject, scalingPath } from '../scaled-object.ts';
import { addresses, deployEntry, deployPath, kustomization } from './deploy-entry.ts';
import { NameError, type NewService, renamed, templateNames } from './names.ts';
import { type Addition, wiring, withAdditions } from './wiring.ts';

/** An example of an event for the golden corpus. */
type Example = { type: string; key: string; says: unknown };

export type Plan = {
  /** Text of each file that is new, by its path in the repository. */
  written: Map<string, string>;
  /** Text of each file that gets additions. */
  changed: Map<string, string>;
  additions: readonly Addition[];
  examples: readonly Example[];
};

const TEMPLATE = 'gateway/cli/new-service/template';
const TEMPLATE_CONTRACT = `causeway/${templateNames.service.snake}`;
const TEMPLATE_CONTRACTS = 'kit/testing/proto';
const TEMPLATE_NAMESPACE = 'b1a9c000-0000-4000-8000-00000000b1a9';
/** Lists the deploy entries. */
export const KUSTOMIZATION = 'deploy/base/services/kustomization.yaml';
/** Says where each of the services is. */
export const ADDRESSES = 'deploy/base/services/addresses.env';

/**
 * All that a new service is, before anything of it is written.
 * @param root the repository's directory.
 * @throws NameError where something else has a name of it already; WiringError where a file is not as it is known.
 */
export function planOf(root: string, names: NewService): Plan {
  const read = (path: string) => readFileSync(join(root, path), 'utf8');
  requireFree(root, names, read);
  const of = (text: string) => renamed(text, names);
  const services = globSync('services/**/*', { cwd: join(root, TEMPLATE), withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(root, TEMPLATE).length + 1));
  const contracts = globSync(`${TEMPLATE_CONTRACT}/**/*.proto`, { cwd: join(root, TEMPLATE_CONTRACTS) });
  const written = new Map([
    ...contracts.map((path) => [of(`proto/${path}`), of(read(`${TEMPLATE_CONTRACTS}/${path}`))] as const),
    ...services.map((path) => [of(path), of(read(`${TEMPLATE}/${path}`))] as const),
    [deployPath(names.service.kebab), deployEntry(names.service.kebab)] as const,
    [scalingPath(names.service.kebab), scaledObject({ service: names.service.kebab, consumers: [] })] as const,
  ]);
  for (const [path, text] of written) written.set(path, text.replace(TEMPLATE_NAMESPACE, randomUUID()));
  const additions = wiring(names);
  const paths = new Set(additions.map(({ path }) => path));
  const changed = new Map(
    [...paths].map((path) => [
      path,
      withAdditions(
        read(path),
        additions.filter((each) => each.path === path),
      ),
    ]),
  );
  const all = globSync('services/*/main.ts', { cwd: root }).map((path) => path.split('/')[1] ?? '');
  changed.set(KUSTOMIZATION, kustomization([...all, names.service.kebab]));
  changed.set(SCALING_LIST, kustomization([...all, names.service.kebab]));
  changed.set(ADDRESSES, addresses([...all, names.service.kebab]));
  return { written, changed, additions, examples: JSON.parse(of(read(`${TEMPLATE}/golden.json`))) };
}

/** Nothing that is there is written over, and no name gets a second meaning. */
function requireFree(root: string, { service, aggregate, aggregates }: NewService, read: (path: string) => string) {
  for (const path of [`services/${service.kebab}`, `proto/causeway/${service.snake}`, deployPath(service.kebab)]) {
    if (existsSync(join(root, path))) throw new NameError(`${path} is there already`);
  }
  if (read('README.md').includes(`\`${service.capitals}_URL\``)) {
    throw new NameError(`${service.capitals}_URL is the name of a setting already`);
  }
  if (wordsOf(read('gateway/platform.ts')).has(service.camel)) {
    throw new NameError(`${service.camel} means something else in gateway/platform.ts`);
  }
  const sources = globSync(`${TEMPLATE}/services/**/*.ts`, { cwd: root }).map(read);
  const taken = new Set(sources.flatMap((source) => [...wordsOf(source)]));
  for (const name of [aggregate, aggregates].flatMap(({ camel, pascal }) => [camel, pascal])) {
    if (taken.has(name)) throw new NameError(`${name} means something else in a service: say another --aggregate`);
  }
}

/** The words of a source, without what its comments and texts say. */
function wordsOf(source: string): Set<string> {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$|'[^'\n]*'/gm, ' ');
  return new Set(code.match(/[A-Za-z_$][\w$]*/g));
}
