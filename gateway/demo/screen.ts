import { styleText } from 'node:util';
import type { Flow } from './flow.ts';

/** How far the demo is. */
export type Progress = { orders: number; placed: number; flow: Flow };

const FRAME_MS = 150;
const LINE_MS = 1_000;
const BAR_WIDTH = 40;
const STREAMS = ['ORDERS', 'FULFILMENT', 'INVENTORY', 'PAYMENTS', 'SHIPPING', 'NOTICES', 'PUBLIC'];

/** Shows the progress until it is told to stop: drawn anew in a terminal, a line a second elsewhere. */
export function showProgress(progress: Progress, terminal: NodeJS.WriteStream): () => void {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1_000;
  if (!terminal.isTTY) {
    const say = () => terminal.write(`${lineOf(progress, seconds())}\n`);
    const timer = setInterval(say, LINE_MS);
    return () => {
      clearInterval(timer);
      say();
    };
  }
  let drawn = 0;
  const draw = () => {
    const lines = frameOf(progress, seconds());
    terminal.write(`${drawn === 0 ? '' : `\x1b[${drawn}A`}${lines.map((line) => `\x1b[2K${line}`).join('\n')}\n`);
    drawn = lines.length;
  };
  const timer = setInterval(draw, FRAME_MS);
  draw();
  return () => {
    clearInterval(timer);
    draw();
  };
}

function lineOf({ orders, placed, flow }: Progress, seconds: number): string {
  return `${seconds.toFixed(0).padStart(4)} s   ${placed} of ${orders} placed   ${flow.ended} ended   ${flow.count} events`;
}

function frameOf({ orders, placed, flow }: Progress, seconds: number): string[] {
  const most = Math.max(1, ...flow.byStream.values());
  return [
    `placed  ${bar(placed, orders)} ${placed} of ${orders}`,
    `ended   ${bar(flow.ended, orders)} ${flow.ended} of ${orders}   ${seconds.toFixed(1)} s`,
    '',
    ...STREAMS.map((stream) => {
      const count = flow.byStream.get(stream) ?? 0;
      return `${stream.padEnd(11)} ${styleText('cyan', bar(count, most))} ${count} events`;
    }),
    '',
    ...Array.from({ length: 8 }, (_, index) => {
      const passing = flow.recent[index];
      if (passing === undefined) return '';
      const { at, stream, type, key } = passing;
      return styleText('dim', `${at.toISOString().slice(11, 23)}  ${stream.padEnd(11)} ${type.padEnd(26)} ${key}`);
    }),
  ];
}

function bar(done: number, all: number): string {
  const full = Math.round((done / all) * BAR_WIDTH);
  return `${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)}`;
}

/** Rows under their headings, in columns as wide as they need to be. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(headings), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}
