import { spawnSync } from 'node:child_process';

/** What the contracts are compared with. */
export type Reference = { name: string; commit: string };

/**
 * The main branch; on main itself, what stood there before. Undefined where there is nothing to compare with: a
 * shallow clone, or a main branch without contracts.
 */
export function breakingReference(): Reference | undefined {
  const head = commitOf('HEAD');
  const candidates = ['origin/main', 'main', 'HEAD~1'].flatMap((name) => {
    const commit = commitOf(name);
    return commit === undefined ? [] : [{ name, commit }];
  });
  return candidates.find(({ commit }) => commit !== head && git('cat-file', '-e', `${commit}:buf.yaml`) !== undefined);
}

function commitOf(name: string): string | undefined {
  return git('rev-parse', '--verify', '--quiet', `${name}^{commit}`);
}

/** What git prints; undefined where it fails. */
function git(...words: string[]): string | undefined {
  const { status, stdout } = spawnSync('git', words, { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}
