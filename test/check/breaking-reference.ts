import { spawnSync } from 'node:child_process';

/** What contracts and stored examples are compared with. */
export type Reference = { name: string; commit: string };

/**
 * The main branch; on main itself, what stood there before. Undefined where there is nothing to compare with.
 * @param directory of the repository.
 */
export function breakingReference(directory: string): Reference | undefined {
  return othersThanHead(directory).find(({ commit }) => existsAt(directory, commit, 'buf.yaml'));
}

/**
 * Why there is no reference, where there should be one: a clone without history compares with nothing, and would let
 * everything pass. Undefined where there is one, or can be none yet: HEAD is the first commit, or main has no contracts.
 */
export function whyNoReference(directory: string): string | undefined {
  if (othersThanHead(directory).length > 0) return undefined;
  // The commit itself names its parents, also where a shallow clone does not have them.
  const head = git(directory, 'cat-file', 'commit', 'HEAD');
  if (head === undefined) return 'this is no git repository with a commit';
  return /^parent /m.test(head.split('\n\n')[0] ?? '')
    ? 'the history is not here: clone with at least two commits (git fetch --depth=2), or fetch the main branch'
    : undefined;
}

/** The text of a file as it was at a commit; undefined where it was not there. */
export function textAt(directory: string, commit: string, path: string): string | undefined {
  return git(directory, 'show', `${commit}:${path}`);
}

/** The files in a folder, as they were at a commit. */
export function filesAt(directory: string, commit: string, folder: string): string[] {
  return (git(directory, 'ls-tree', '-r', '--name-only', commit, '--', folder) ?? '').split('\n').filter(Boolean);
}

function othersThanHead(directory: string): Reference[] {
  const head = commitOf(directory, 'HEAD');
  return ['origin/main', 'main', 'HEAD~1'].flatMap((name) => {
    const commit = commitOf(directory, name);
    return commit === undefined || commit === head ? [] : [{ name, commit }];
  });
}

function existsAt(directory: string, commit: string, path: string): boolean {
  return git(directory, 'cat-file', '-e', `${commit}:${path}`) !== undefined;
}

function commitOf(directory: string, name: string): string | undefined {
  return git(directory, 'rev-parse', '--verify', '--quiet', `${name}^{commit}`);
}

/** What git prints; undefined where it fails. */
function git(directory: string, ...words: string[]): string | undefined {
  const { status, stdout } = spawnSync('git', words, { cwd: directory, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}
