import { expect, test } from 'vitest';
import { queryIn } from './queries.ts';

test('what a query asks for is found in it', () => {
  const query = `histogram_quantile(0.99, sum by (view, le) (rate(delay_bucket{view!="a,b", le=~"1|2"}[5m])))
    / on (app) max(up offset 5m) > 5 and causeway:ratio_5m or vector(0)`;

  expect(queryIn(query)).toEqual({
    selectors: [
      { metric: 'delay_bucket', labels: { view: 'a,b', le: '1|2' } },
      { metric: 'up', labels: {} },
      { metric: 'causeway:ratio_5m', labels: {} },
    ],
    grouping: ['view', 'le', 'app'],
  });
});

test('what is said in strings, and names functions and labels, is not taken for a metric', () => {
  const query = 'sum by (group) (label_replace(max by (consumer) (lag), "group", "$1", "consumer", "(.*)-[0-7]")) > 0';

  expect(queryIn(query).selectors).toEqual([{ metric: 'lag', labels: {} }]);
});
