import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { StartError } from '#kit/process.ts';
import { ownDirectory } from '#kit/testing/servers.ts';
import { takeDataDirectory } from './data-directory.ts';

/** A process that asks for the directory, says whether it got it, and lives on. There is no program on its PATH. */
async function asks(directory: string): Promise<{ process: ChildProcess; said: string }> {
  const script = `
    import { takeDataDirectory } from ${JSON.stringify(new URL('data-directory.ts', import.meta.url).href)};
    await takeDataDirectory(${JSON.stringify(directory)}).then(() => console.log('taken'), (error) => console.log(error.message));
    setInterval(() => {}, 60_000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { PATH: '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const [said] = await once(createInterface(child.stdout), 'line');
  return { process: child, said };
}

test('a data directory is held by one process, which is named to the next one', async () => {
  const directory = await ownDirectory();
  const holder = await asks(directory);
  expect(holder.said).toBe('taken');

  const refused = takeDataDirectory(directory);

  await expect(refused).rejects.toThrow(StartError);
  await expect(refused).rejects.toThrow(`${directory} is in use by process ${holder.process.pid}`);
  expect((await asks(directory)).said).toContain(`in use by process ${holder.process.pid}`);
});

test('of several that ask at the same moment one gets it', async () => {
  const directory = await ownDirectory();

  const all = await Promise.all([1, 2, 3, 4].map(() => asks(directory)));

  expect(all.filter(({ said }) => said === 'taken')).toHaveLength(1);
});

test('it is free as soon as its holder was killed, whatever it left behind', async () => {
  const directory = await ownDirectory();
  const holder = await asks(directory);
  holder.process.kill('SIGKILL');
  await once(holder.process, 'exit');

  const taken = await takeDataDirectory(directory);

  await taken.release();
  const again = await takeDataDirectory(directory);
  await again.release();
});
