/** Renders all overlays, and says what is wrong with what comes of them: part of `npm run check`. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serviceSettings } from '#kit/service-process.ts';
import type { Setting } from '#kit/settings.ts';
import { serviceDescriptions } from '../../gateway/cli/broker-permissions.ts';
import { scalingFiles } from '../../gateway/cli/scaled-object.ts';
import { allSettings, compositions } from '../../gateway/platform.ts';
import { kubernetesDefinitions, schemaProblems } from './kubernetes-schema.ts';
import { type Manifest, nameOf } from './manifest.ts';
import { renderedOverlays } from './overlays.ts';
import { type Expected, type Policy, policies, policiesOfProduction } from './policies.ts';

const services = Object.keys(compositions);
const [overlays, definitions] = await Promise.all([renderedOverlays(services), kubernetesDefinitions()]);
const expected: Expected = {
  services,
  settings: settingNames([...Object.values(allSettings), ...Object.values(serviceSettings)]),
  secrets: new Map(overlays.flatMap(({ manifests }) => manifests.filter(({ kind }) => kind === 'Secret').map(keysOf))),
};

let wrong = 0;
for (const { name, manifests } of overlays) {
  const bad = manifests.flatMap((manifest) =>
    schemaProblems(manifest, definitions).map((problem) => `${nameOf(manifest)}: ${problem}`),
  );
  const broken = bad.length > 0 ? bad : brokenPolicies(manifests, name === 'production');
  for (const problem of broken) process.stdout.write(`${name}: ${problem}\n`);
  wrong += broken.length;
}
for (const [path, text] of scalingFiles(await serviceDescriptions())) {
  const stands = await readFile(join(import.meta.dirname, '../..', path), 'utf8').catch(() => undefined);
  if (stands === text) continue;
  process.stdout.write(`${path} is not as the services are: npm run -s causeway -- autoscaling\n`);
  wrong += 1;
}
process.exitCode = wrong === 0 && overlays.length > 0 ? 0 : 1;

function brokenPolicies(manifests: readonly Manifest[], isProduction: boolean): string[] {
  const all: Record<string, Policy> = { ...policies, ...(isProduction ? policiesOfProduction : {}) };
  return Object.entries(all).flatMap(([asked, policy]) =>
    policy(manifests, expected).map((problem) => `${problem} (${asked})`),
  );
}

function settingNames(settings: readonly Setting<unknown>[]): Set<string> {
  return new Set(settings.flatMap(({ name, secret }) => (secret ? [name, `${name}_FILE`] : [name])));
}

function keysOf({ metadata, data }: Manifest): [string, Set<string>] {
  return [metadata.name, new Set(Object.keys(data))];
}
