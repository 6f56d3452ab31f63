import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { serviceSettings } from '#kit/service-process.ts';
import { describeSettings } from '#kit/settings.ts';
import { allSettings } from '../../gateway/platform.ts';

test('the README lists every setting with its default', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const [, listed = ''] = /<!-- settings: begin -->\n([\s\S]*?)\n<!-- settings: end -->/.exec(readme) ?? [];
  const rows = [...describeSettings(allSettings), ...describeSettings(serviceSettings)].map(
    (each) => `| \`${each.name}\` | ${each.default} | ${each.meaning} |`,
  );
  expect(listed.split('\n')).toEqual(['| name | default | meaning |', '| --- | --- | --- |', ...rows]);
});
