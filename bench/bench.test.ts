import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Started } from '#kit/process.ts';
import { fullSizes, measured } from './bench.ts';
import { figure, figureNames, isMet, table } from './figures.ts';
import { parseReport, parseTimes } from './load.ts';
import { placing } from './measures/placing.ts';
import { median, medianRatio, quantile, rounded } from './statistics.ts';
import { cpuSeconds, parseStat, parseTime, residentMegabytes } from './usage.ts';

describe('statistics', () => {
  test('a quantile is a value that was measured, and that its share does not exceed', () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([quantile(values, 0.5), quantile(values, 0.99), quantile(values, 1), quantile([7], 0.01)]).toEqual([
      50, 99, 100, 7,
    ]);
    expect(() => quantile([], 0.5)).toThrow(RangeError);
  });

  test('a median of an even number of values lies between the two in the middle', () => {
    expect([median([9, 1, 5]), median([4, 1, 2, 100])]).toEqual([5, 3]);
    expect(() => median([])).toThrow(RangeError);
  });

  test('a ratio is taken round by round, so that a round in which everything was slow counts as any other', () => {
    expect(medianRatio([10, 1, 12], [20, 2, 12])).toBe(0.5);
  });

  test('a figure has three digits that count', () => {
    expect([rounded(1_234.5), rounded(0.012_345), rounded(5)]).toEqual([1_230, 0.0123, 5]);
  });
});

describe('a figure', () => {
  test('says its unit, its target and whether that is met', () => {
    expect(figure('visible_p50_ms', 5.4, { orders: 10 })).toEqual({
      name: 'visible_p50_ms',
      value: 5.4,
      unit: 'ms',
      target: { atMost: 5 },
      met: false,
      orders: 10,
    });
    expect(figure('place_order_per_s', 1_000)).toEqual({ name: 'place_order_per_s', value: 1_000, unit: '1/s' });
  });

  test('that is just at its target meets it', () => {
    expect([isMet(0.7, { atLeast: 0.7 }), isMet(0.69, { atLeast: 0.7 })]).toEqual([true, false]);
    expect([isMet(20, { atMost: 20 }), isMet(20.1, { atMost: 20 })]).toEqual([true, false]);
  });

  test('that misses its target is shown as missed in the table', () => {
    const lines = table([figure('rss_mb', 400), figure('startup_ms', 900), figure('place_order_per_s', 1)]).split('\n');
    expect(lines[1]).toMatch(/^rss_mb +400 MB +<= 350 +MISSED/);
    expect(lines[2]).toMatch(/^startup_ms +900 ms +<= 3000 +met /);
    expect(lines[3]).toMatch(/^place_order_per_s +1 1\/s +shown/);
  });
});

describe('usage', () => {
  test('of a process is read from /proc, whatever its name is', () => {
    expect(parseStat('1 (a) b (c) S 2 3 4 5 6 7 8 9 10 11 150 50 0 0 20 0')).toBe(2);
  });

  test('of a process is read from what ps says', () => {
    expect(['01:02', '1-02:03:04', '0:01.50'].map(parseTime)).toEqual([62, 93_784, 1.5]);
  });

  test('of this process is found', async () => {
    expect(await cpuSeconds(process.pid)).toBeGreaterThan(0);
    expect(await residentMegabytes(process.pid)).toBeGreaterThan(10);
  });
});

describe('what the load generator reports', () => {
  const report = {
    count: 100,
    total: 2_000_000_000,
    rps: 50,
    latencyDistribution: [
      { percentage: 50, latency: 1_500_000 },
      { percentage: 99, latency: 9_000_000 },
    ],
    statusCodeDistribution: { OK: 100 },
    errorDistribution: {},
  };

  test('is read, with the CPU time that the shell adds', () => {
    expect(parseReport(report, '0m0.00s 0m0.00s\n0m1.25s 1m0.5s\n')).toEqual({
      calls: 100,
      failed: 0,
      seconds: 2,
      perSecond: 50,
      p50Ms: 1.5,
      p99Ms: 9,
      cpuSeconds: 61.75,
    });
    expect(parseTimes('0m0.001000s 0m0.002000s\n0m0.250000s 0m0.500000s')).toBe(0.75);
  });

  test('is no figure where a single call failed, unless such are counted', () => {
    const failed = { ...report, statusCodeDistribution: { OK: 99, Unavailable: 1 }, errorDistribution: { away: 1 } };
    expect(() => parseReport(failed, '')).toThrow(/Unavailable/);
    expect(parseReport(failed, '0m0s 0m0s\n0m0s 0m0s', true)).toMatchObject({ calls: 100, failed: 1 });
  });
});

test('orders are placed on real servers, and what it cost is told of every process', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'causeway-bench-test-'));
  const started = new Started();
  onTestFinished(async () => {
    await started.stop();
    await rm(directory, { recursive: true, force: true });
  });
  const sizes = { ...fullSizes, warmUp: 64, orders: 200, rounds: 1 };
  const bench = { sizes, directory, started, nodeOptions: [], say: () => {} };
  const figures = await Array.fromAsync(measured(placing, bench));
  expect(figures.map(({ name }) => name)).toEqual(placing.names);
  for (const { name, value } of figures) {
    expect(figureNames).toContain(name);
    expect(value, name).toBeGreaterThan(0);
  }
  expect(figures.find(({ name }) => name === 'cpu_us_per_order')).toMatchObject({
    by_process: { platform: expect.any(Number), broker: expect.any(Number), database: expect.any(Number) },
    load_generator: expect.any(Number),
    orders: 200,
  });
});
