/** The value of a series in Prometheus' text format that has at least these labels; undefined where there is none. */
export function seriesIn(text: string, name: string, labels: Record<string, string> = {}): number | undefined {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const line = text
    .split('\n')
    .find((each) => /^\w+/.exec(each)?.[0] === name && wanted.every((label) => each.includes(label)));
  return line === undefined ? undefined : Number(/} (\S+)/.exec(line)?.[1] ?? line.split(' ')[1]);
}
