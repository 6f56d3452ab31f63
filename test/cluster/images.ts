import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { outputOf } from '#kit/local/cache.ts';
import { standInClasses } from '#kit/local/mongodb.ts';
import { natsProgramForLinux } from '#kit/local/nats.ts';

/** The images that the test overlay names. */
export const imageNames = ['causeway', 'causeway-broker', 'causeway-database'] as const;

type ImageName = (typeof imageNames)[number];

const ROOT = join(import.meta.dirname, '../..');
const DOCKERFILES = join(ROOT, 'deploy/overlays/test/images');

/**
 * Builds what the test overlay runs, from sources, a Go module and Maven artifacts: no image is pulled but the base.
 * @param nameOf what each is to be called, with its tag: `localhost:5000/causeway:trial`.
 */
export async function buildImages(nameOf: (image: ImageName) => string): Promise<void> {
  await docker('build', '--quiet', '--file', join(ROOT, 'deploy/Dockerfile'), '--tag', nameOf('causeway'), ROOT);
  const architecture = (await docker('version', '--format', '{{.Server.Arch}}')).trim();
  await buildFrom(nameOf('causeway-broker'), 'broker', async (directory) =>
    cp(await natsProgramForLinux(architecture), join(directory, 'nats-server')),
  );
  await buildFrom(nameOf('causeway-database'), 'database', async (directory) =>
    cp(await standInClasses(), directory, { recursive: true }),
  );
}

/** Builds an image whose context holds what `fill` puts there, and nothing else. */
async function buildFrom(tag: string, name: string, fill: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'causeway-image-'));
  try {
    await fill(directory);
    await docker('build', '--quiet', '--file', join(DOCKERFILES, `${name}.Dockerfile`), '--tag', tag, directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function docker(...words: string[]): Promise<string> {
  return outputOf('docker', words);
}
