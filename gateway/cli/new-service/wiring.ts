import type { NewService } from './names.ts';

/** A line that is added to a file that is there. */
export type Addition = {
  path: string;
  line: string;
  /** It comes behind the last line that is like this one. */
  after: RegExp;
  /** It is added to the line instead: what was found is put before it. */
  within?: true;
};

/** A file is not as the tool knows it. */
class WiringError extends Error {
  override name = 'WiringError';
}

const IMPORT = /^import .* from '.*';$/;

/** Everything that a new service changes outside of its own folders. */
export function wiring({ service }: NewService): Addition[] {
  const { kebab, snake, camel, pascal, capitals } = service;
  const key = kebab === camel ? kebab : `'${kebab}'`;
  const contract = `${pascal}Service`;
  return [
    {
      path: 'gateway/services.ts',
      line: `import { ${contract} } from '#gen/causeway/${snake}/v1/${snake}_service_pb.js';`,
      after: IMPORT,
    },
    {
      path: 'gateway/services.ts',
      line: `  ${key}: { contracts: [${contract}], isNeeded: false },`,
      after: /^ {2}\S+: \{ contracts: \[/,
    },
    {
      path: 'gateway/platform.ts',
      line: `import { ${camel} } from '../services/${kebab}/${kebab}.ts';`,
      after: IMPORT,
    },
    {
      path: 'gateway/platform.ts',
      line: key === camel ? `  ${camel},` : `  ${key}: ${camel},`,
      after: /^ {2}operations,$/,
    },
    {
      path: 'README.md',
      line: `| \`${capitals}_URL\` | in process | the same for ${kebab} |`,
      after: /^\| `\w+_URL` \| in process \| the same for [\w-]+ \|$/,
    },
    {
      path: 'README.md',
      line: `| \`causeway.${snake}.v1.${contract}\` | see [its contract](proto/causeway/${snake}/v1/${snake}_service.proto) |`,
      after: /^\| `causeway\.\w+\.v1\.\w+Service` \|/,
    },
    {
      path: 'docs/operating.md',
      line: `, \`${capitals}\``,
      after: /^\| journals \| JetStream streams `ORDERS`.*?(?= \|)/,
      within: true,
    },
    {
      path: 'docs/operating.md',
      line: ` ${capitals}`,
      after: /^for stream in ORDERS .*?(?= \\)/,
      within: true,
    },
  ];
}

/**
 * A text with the additions in it.
 * @throws WiringError where the place for one is not found: the file is not as the tool knows it.
 */
export function withAdditions(text: string, additions: readonly Addition[]): string {
  return additions.reduce((before, { path, line, after, within }) => {
    const lines = before.split('\n');
    const at = lines.findLastIndex((each) => after.test(each));
    if (at === -1) throw new WiringError(`${path} has no place for ${JSON.stringify(line.trim())}`);
    const found = lines[at] ?? '';
    if (within) lines[at] = found.replace(after, (before) => before + line);
    else lines.splice(at + 1, 0, line);
    return lines.join('\n');
  }, text);
}
