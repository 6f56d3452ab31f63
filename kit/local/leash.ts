import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { outputOf } from './cache.ts';

/** A server in a process of its own that ends when this process ends, however it ends. */
export type LeashedServer = {
  pid: number;
  ended: Promise<void>;
  kill(signal?: NodeJS.Signals): Promise<void>;
  stop(): Promise<void>;
};

export type LeashedCommand = {
  /** Names the log and the pid file. */
  name: string;
  /** The server's own, absolute; two servers never share it. */
  directory: string;
  command: string;
  /** One of them names the directory, so that the process can be told from another with the same pid. */
  arguments: readonly string[];
  /** Makes ready what the server finds in the directory, which nobody else has by then. */
  prepare?(): Promise<void>;
  /** Asked again and again until it answers true. */
  isReady(): Promise<boolean>;
};

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 8_000;
const POLL_MS = 5;
const LOG_TAIL_CHARACTERS = 2_000;
/** As in the leash below: somebody else made the pid file at the same time. */
const TAKEN = 73;

/**
 * Takes the directory by making the pid file, which must not be there yet; waits for its owner to say go; then becomes
 * the server and leaves a watcher behind. The watcher's stdin is the pipe from its owner: it ends when the owner does,
 * by kill -9 too. Both are in a process group of their own, so the terminal's Ctrl-C does not reach them, and while the
 * watcher is in it the server's pid is not given to another process.
 */
const LEASH = `
set -C
echo "$$ $PPID" > "$1" || exit ${TAKEN}
set +C
log="$2"
shift 2
read -r go || exit
exec 3<&0
(
  trap '' HUP INT TERM
  while read -r line <&3; do :; done
  kill -TERM $$
  tenths=0
  while [ $tenths -lt 50 ] && kill -0 $$; do sleep 0.1; tenths=$((tenths + 1)); done
  kill -KILL $$
) >/dev/null 2>&1 &
exec "$@" </dev/null >"$log" 2>&1 3<&-
`;

/** Starts a server and waits until it is ready. Rejects with the end of its log where it isn't. */
export async function startLeashed(options: LeashedCommand): Promise<LeashedServer> {
  const { name, directory } = options;
  await mkdir(directory, { recursive: true });
  const pidFile = pidFileIn(directory, name);
  const logFile = join(directory, `${name}.log`);
  await endPrevious(pidFile, directory);
  const child = spawn('sh', ['-c', LEASH, name, pidFile, logFile, options.command, ...options.arguments], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.stdin.on('error', () => {});
  // Before anything is awaited: it may end at once.
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  }).then(async () => {
    // The watcher goes too.
    child.stdin.destroy();
    if (child.exitCode !== TAKEN) await rm(pidFile, { force: true });
  });
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  try {
    const startedAt = performance.now();
    const until = async (condition: () => Promise<boolean>) => {
      while (!(await condition()) || hasExited(child)) {
        if (child.exitCode === TAKEN) throw new Error(`another ${name} is being started in ${directory}`);
        if (hasExited(child) || performance.now() - startedAt > START_TIMEOUT_MS) {
          throw new Error(`${name} did not start in ${directory}:\n${await endOf(logFile)}`);
        }
        await delay(POLL_MS);
      }
    };
    await until(async () => (await readFile(pidFile, 'utf8').catch(() => '')).startsWith(`${pid} `));
    await rename(logFile, join(directory, `${name}.previous.log`)).catch(() => {});
    await options.prepare?.();
    child.stdin.write('go\n');
    await until(options.isReady);
  } catch (error) {
    child.kill('SIGKILL');
    await exited;
    throw error;
  }
  unreference(child);
  return {
    pid,
    ended: exited,
    kill: async (signal = 'SIGKILL') => {
      child.kill(signal);
      if (signal === 'SIGCONT') return;
      if (signal === 'SIGSTOP') return stopped(child, pid);
      child.ref();
      await exited;
    },
    stop: async () => {
      if (hasExited(child)) return exited;
      child.ref();
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await exited.finally(() => clearTimeout(force));
    },
  };
}

/**
 * Throws away what a server kept in its directory, once the server that was there has ended: it still writes for a
 * moment after its owner was killed. Rejects, and removes nothing, where its owner lives.
 */
export async function clearLeashed(name: string, directory: string): Promise<void> {
  await endPrevious(pidFileIn(directory, name), directory);
  await rm(directory, { recursive: true, force: true });
}

function pidFileIn(directory: string, name: string): string {
  return join(directory, `${name}.pid`);
}

async function endOf(logFile: string): Promise<string> {
  return (await readFile(logFile, 'utf8').catch(() => '')).slice(-LOG_TAIL_CHARACTERS);
}

function hasExited({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** A server that runs is no reason for this process to go on. */
function unreference(child: ChildProcess): void {
  child.unref();
  (child.stdin as { unref?: () => void } | null)?.unref?.();
}

/** A signal is sent before it is heeded: for a moment the server's threads still answer. */
async function stopped(child: ChildProcess, pid: number): Promise<void> {
  while (!hasExited(child) && !(await isStopped(pid))) await delay(1);
}

async function isStopped(pid: number): Promise<boolean> {
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) return (await outputOf('ps', ['-o', 'state=', '-p', String(pid)])).trim().startsWith('T');
  const states = await Promise.all(
    (await readdir(tasks)).map((task) => readFile(join(tasks, task, 'status'), 'utf8').catch(() => '')),
  );
  return states.every((status) => status === '' || /^State:\s+T/m.test(status));
}

/** Waits for the directory's earlier server, which goes down when its owner is gone. Rejects where the owner lives. */
async function endPrevious(pidFile: string, directory: string): Promise<void> {
  const [pid, owner] = (await readFile(pidFile, 'utf8').catch(() => '')).trim().split(' ').map(Number);
  if (pid === undefined || owner === undefined) return;
  const startedAt = performance.now();
  for (;;) {
    const running = await processOf(pid);
    if (running === undefined) break;
    if (running.parent === owner) throw new Error(`${directory} is in use: process ${owner} runs its server ${pid}`);
    // While it becomes the server it has no arguments for a moment.
    if (running.command !== '' && !running.command.includes(directory)) break;
    if (performance.now() - startedAt > STOP_TIMEOUT_MS) tryToKill(pid);
    await delay(POLL_MS);
  }
  await rm(pidFile, { force: true });
}

function tryToKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}

async function processOf(pid: number): Promise<{ parent: number; command: string } | undefined> {
  try {
    process.kill(pid, 0);
  } catch {
    return undefined;
  }
  const found = await (existsSync('/proc/self/status') ? fromProc(pid) : fromPs(pid));
  return found === undefined ? undefined : { parent: Number(found.parent), command: found.command };
}

/** Linux; where it is a container, there may be no ps. */
async function fromProc(pid: number) {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    if (/^State:\s+Z/m.test(status)) return undefined;
    const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ');
    return { parent: /^PPid:\s+(\d+)/m.exec(status)?.[1], command };
  } catch {
    return undefined;
  }
}

async function fromPs(pid: number) {
  const line = await outputOf('ps', ['-ww', '-o', 'ppid=,args=', '-p', String(pid)]).catch(() => '');
  const [, parent, command] = /^\s*(\d+) (.*)/.exec(line) ?? [];
  return command === undefined ? undefined : { parent, command };
}
