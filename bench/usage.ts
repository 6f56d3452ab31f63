import { readFile } from 'node:fs/promises';
import { outputOf } from '#kit/local/cache.ts';

/** Linux counts a process' time in hundredths of a second, whatever its kernel's own clock. */
const TICKS_PER_SECOND = 100;

/** CPU seconds that a process has used since it began, in user and in kernel mode. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat === undefined ? parseTime(await ps(pid, 'time=')) : parseStat(stat);
}

/** Memory of a process that is in RAM, in MB. */
export async function residentMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => undefined);
  const kilobytes = status === undefined ? await ps(pid, 'rss=') : /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1];
  return Number(kilobytes) / 1_024;
}

/** The line of /proc/PID/stat. The name of the program stands in brackets, and may have brackets and blanks in it. */
export function parseStat(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** A time as ps writes it: `[days-][hours:]minutes:seconds[.hundredths]`. */
export function parseTime(time: string): number {
  const [, days = '0', rest = ''] = /^(?:(\d+)-)?(.*)$/.exec(time.trim()) ?? [];
  return rest.split(':').reduce((total, part) => total * 60 + Number(part), 0) + Number(days) * 86_400;
}

async function ps(pid: number, field: string): Promise<string> {
  return (await outputOf('ps', ['-o', field, '-p', String(pid)])).trim();
}
