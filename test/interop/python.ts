import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { builtOnce, outputOf, programOnPath } from '#kit/local/cache.ts';

const requirements = new URL('requirements.txt', import.meta.url).pathname;

/**
 * A Python that has what requirements.txt lists, in a virtual environment of the user's cache, made once.
 * @returns its path.
 * @throws Error that says what to install, where there is no Python or none that can make environments.
 */
export async function pythonWithPackages(): Promise<string> {
  const python = await programOnPath('python3');
  if (python === undefined) throw new Error(toInstall('there is no python3 on the PATH'));
  const version = await outputOf(python, ['-c', 'import sys; print(sys.prefix, sys.version)']);
  const wanted = await readFile(requirements, 'utf8');
  const name = `python-${hash('sha256', `${version}\n${wanted}`).slice(0, 12)}`;
  const environment = await builtOnce(name, async (target) => {
    await outputOf(python, ['-m', 'venv', target]).catch((cause) => {
      throw new Error(toInstall(`${python} can not make a virtual environment`), { cause });
    });
    const packages = ['-m', 'pip', 'install', '--quiet', '--no-input', '--requirement', requirements];
    await outputOf(join(target, 'bin', 'python'), packages);
  });
  return join(environment, 'bin', 'python');
}

function toInstall(what: string): string {
  return `${what}; this test needs Python 3 with venv: apt-get install python3 python3-venv, or brew install python`;
}
