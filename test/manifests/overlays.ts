import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { builtOnce, outputOf, programOnPath } from '#kit/local/cache.ts';
import { writeSecretFiles } from '../../gateway/cli/secret-files.ts';
import { type Manifest, manifestsIn } from './manifest.ts';

export type Overlay = { name: string; manifests: Manifest[] };

const DEPLOY = join(import.meta.dirname, '../../deploy');
/** As in kustomize/go.mod. */
const VERSION = '5.8.1';

/**
 * What each overlay comes to, for these services. It is rendered in a copy, with secrets of its own: those that lie beside the
 * overlay are somebody's.
 */
export async function renderedOverlays(services: readonly string[]): Promise<Overlay[]> {
  const render = await renderer();
  const copy = await mkdtemp(join(tmpdir(), 'causeway-overlays-'));
  try {
    await cp(DEPLOY, copy, { recursive: true, filter: (path) => basename(path) !== 'secrets' });
    const directories = (await readdir(join(copy, 'overlays'))).map((name) => join(copy, 'overlays', name));
    // First, because one overlay may be made of another.
    for (const directory of directories) await writeSecrets(directory, services);
    const rendered = await Promise.all(directories.map((directory) => overlayIn(directory, render)));
    return rendered.filter((overlay) => overlay !== undefined);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

type Render = (directory: string) => Promise<string>;

async function writeSecrets(directory: string, services: readonly string[]): Promise<void> {
  const { resources = [] } = await kustomizationIn(directory);
  if (!resources.includes('secrets')) return;
  await writeSecretFiles(join(directory, 'secrets'), { services, mongodbUsers: basename(directory) !== 'test' });
}

async function overlayIn(directory: string, render: Render): Promise<Overlay | undefined> {
  const { kind } = await kustomizationIn(directory);
  // What several overlays have in common is none.
  return kind === 'Kustomization'
    ? { name: basename(directory), manifests: manifestsIn(await render(directory)) }
    : undefined;
}

async function kustomizationIn(directory: string): Promise<{ kind: string; resources?: string[] }> {
  return parse(await readFile(join(directory, 'kustomization.yaml'), 'utf8'));
}

/** Renders as `kubectl kustomize` does: by that, or by kustomize, which is built once where there is neither. */
async function renderer(): Promise<Render> {
  const kubectl = await programOnPath('kubectl');
  if (kubectl !== undefined) return (directory) => outputOf(kubectl, ['kustomize', directory]);
  const kustomize = (await programOnPath('kustomize')) ?? (await builtKustomize());
  return (directory) => outputOf(kustomize, ['build', directory]);
}

async function builtKustomize(): Promise<string> {
  const go = await programOnPath('go');
  if (go === undefined)
    throw new Error('kubectl, kustomize or Go is needed: the overlays are rendered with one of them');
  return builtOnce(`kustomize-${VERSION}`, async (target) => {
    process.stderr.write(`building kustomize ${VERSION}, once, about a minute\n`);
    const module = 'sigs.k8s.io/kustomize/kustomize/v5';
    await outputOf(go, ['build', '-mod=readonly', '-trimpath', '-ldflags=-s -w', '-o', target, module], {
      cwd: join(import.meta.dirname, 'kustomize'),
      environment: { CGO_ENABLED: '0', GOWORK: 'off' },
    });
  });
}
