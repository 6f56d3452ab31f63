import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { builtOnce, outputOf, programOnPath } from '#kit/local/cache.ts';
import type { Manifest } from './manifest.ts';

/** Which Kubernetes the manifests are for. */
const MODULE = 'k8s.io/kubernetes@v1.34.4';
/** Of the module's content, as in a go.sum. */
const SUM = 'h1:Yy6R4QB8C9kJPp25GFqEvX5XQwY5qzKeqD0Xx6oAcmk=';

/** A schema of JSON, as far as Kubernetes' own description uses it. */
type Schema = {
  $ref?: string;
  type?: string;
  format?: string;
  enum?: unknown[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: Schema;
  'x-kubernetes-group-version-kind'?: { group: string; version: string; kind: string }[];
};

export type Definitions = Record<string, Schema>;

const QUANTITY = /^[+-]?(\d+\.?\d*|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$/;
/** Values that are not of the type that the description gives them. */
const SPECIAL: Record<string, (value: unknown) => boolean> = {
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': (value) => Number.isInteger(value) || typeof value === 'string',
  'io.k8s.apimachinery.pkg.api.resource.Quantity': (value) => QUANTITY.test(String(value)),
};

/** What Kubernetes says of its own kinds, and what KEDA's are here. Taken from the Go module of Kubernetes, once. */
export async function kubernetesDefinitions(): Promise<Definitions> {
  const [swagger, scaledObject] = await Promise.all([
    builtOnce(`kubernetes-${MODULE.split('@')[1]}-swagger.json`, takeFromModule).then((path) => readFile(path, 'utf8')),
    readFile(join(import.meta.dirname, 'scaled-object.schema.yaml'), 'utf8'),
  ]);
  return { ...JSON.parse(swagger).definitions, ...parse(scaledObject) };
}

async function takeFromModule(target: string): Promise<void> {
  const go = await programOnPath('go');
  if (go === undefined) throw new Error('Go is needed: the schemas are taken from the module of Kubernetes');
  process.stderr.write(`fetching the schemas of ${MODULE}, once\n`);
  const said = await outputOf(go, ['mod', 'download', '-json', MODULE]);
  // Around it stands what Go tells people, such as that it fetches a newer Go.
  const { Dir, Sum } = JSON.parse(said.slice(said.indexOf('{'), said.lastIndexOf('}') + 1));
  if (Sum !== SUM) throw new Error(`${MODULE} has the sum ${Sum}, and not ${SUM}`);
  await copyFile(join(Dir, 'api/openapi-spec/swagger.json'), target);
}

/** What is wrong with a manifest: a kind that nobody knows, an unknown field, one that is missing, or of another type. */
export function schemaProblems(manifest: Manifest, definitions: Definitions): string[] {
  const [version = '', group = ''] = manifest.apiVersion.split('/').toReversed();
  const schema = Object.values(definitions).find(({ 'x-kubernetes-group-version-kind': kinds }) =>
    kinds?.some((each) => each.group === group && each.version === version && each.kind === manifest.kind),
  );
  if (schema === undefined) return [`there is no ${manifest.kind} in ${manifest.apiVersion}`];
  return problemsAt(manifest, schema, '', definitions);
}

function problemsAt(value: unknown, schema: Schema, path: string, definitions: Definitions): string[] {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.replace('#/definitions/', '');
    const special = SPECIAL[name];
    if (special !== undefined) return special(value) ? [] : [`${path} is no ${name.split('.').at(-1)}`];
    return problemsAt(value, definitions[name] ?? {}, path, definitions);
  }
  if (schema.enum?.includes(value) === false) return [`${path} is none of ${schema.enum.join(', ')}`];
  switch (schema.type) {
    case 'object':
      return isObject(value) ? fieldProblems(value, schema, path, definitions) : [`${path} is no object`];
    case 'array':
      if (!Array.isArray(value)) return [`${path} is no list`];
      return value.flatMap((item, index) => problemsAt(item, schema.items ?? {}, `${path}[${index}]`, definitions));
    case 'integer':
      return Number.isInteger(value) ? [] : [`${path} is no whole number`];
    case 'string':
    case 'number':
    case 'boolean':
      return typeof value === schema.type ? [] : [`${path} is no ${schema.type}`];
    default:
      return [];
  }
}

function fieldProblems(
  value: Record<string, unknown>,
  { properties = {}, required = [], additionalProperties }: Schema,
  path: string,
  definitions: Definitions,
): string[] {
  const missing = required.filter((name) => value[name] === undefined).map((name) => `${path}.${name} is missing`);
  const fields = Object.entries(value).flatMap(([name, field]) => {
    const schema = properties[name] ?? additionalProperties;
    return schema === undefined
      ? [`${path}.${name} is unknown`]
      : problemsAt(field, schema, `${path}.${name}`, definitions);
  });
  return [...missing, ...fields];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
