import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { ownDirectory } from '#kit/testing/servers.ts';
import { breakingReference, filesAt, textAt, whyNoReference } from './breaking-reference.ts';

let repository: string;

beforeEach(async () => {
  repository = await ownDirectory();
  git('init', '--quiet', '--initial-branch', 'main');
});

function git(...words: string[]): string {
  const identity = ['-c', 'user.name=Somebody', '-c', 'user.email=somebody@example.com'];
  return execFileSync('git', [...identity, ...words], { cwd: repository, encoding: 'utf8' }).trim();
}

/** @param files their texts, by path. */
function commit(files: Record<string, string>): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(repository, path, '..'), { recursive: true });
    writeFileSync(join(repository, path), text);
    git('add', path);
  }
  git('commit', '--quiet', '--message', 'something');
  return git('rev-parse', 'HEAD');
}

async function clone(...options: string[]): Promise<string> {
  const copy = await ownDirectory();
  execFileSync('git', ['clone', '--quiet', ...options, `file://${repository}`, copy]);
  return copy;
}

describe('what contracts are compared with', () => {
  test('is the commit before, on main', () => {
    const before = commit({ 'buf.yaml': 'version: v2' });
    commit({ 'a.proto': 'syntax = "proto3";' });

    expect(breakingReference(repository)).toEqual({ name: 'HEAD~1', commit: before });
    expect(whyNoReference(repository)).toBeUndefined();
  });

  test('is main, on a branch', () => {
    const main = commit({ 'buf.yaml': 'version: v2' });
    git('checkout', '--quiet', '-b', 'feature');
    commit({ 'a.proto': '1' });
    commit({ 'a.proto': '2' });

    expect(breakingReference(repository)).toEqual({ name: 'main', commit: main });
  });

  test('is nothing for the first commit of a repository, and that is right', () => {
    commit({ 'buf.yaml': 'version: v2' });

    expect(breakingReference(repository)).toBeUndefined();
    expect(whyNoReference(repository)).toBeUndefined();
  });

  test('is nothing where contracts come for the first time, and that is right', () => {
    commit({ README: 'hello' });
    commit({ 'buf.yaml': 'version: v2' });

    expect(breakingReference(repository)).toBeUndefined();
    expect(whyNoReference(repository)).toBeUndefined();
  });

  test('is missing in a clone without history, which is said', async () => {
    commit({ 'buf.yaml': 'version: v2' });
    commit({ 'a.proto': '1' });

    const shallow = await clone('--depth', '1');
    expect(breakingReference(shallow)).toBeUndefined();
    expect(whyNoReference(shallow)).toContain('git fetch --depth=2');

    expect(breakingReference(await clone('--depth', '2'))).toMatchObject({ name: 'HEAD~1' });
    expect(whyNoReference(await clone('--depth', '2'))).toBeUndefined();
  });

  test('is missing where there is no repository, which is said', async () => {
    expect(whyNoReference(repository)).toContain('no git repository');
  });
});

test('files are read as they were at a commit', () => {
  const before = commit({ 'examples/a.json': '[1]', 'examples/b.json': '[2]' });
  commit({ 'examples/a.json': '[3]' });

  expect(filesAt(repository, before, 'examples')).toEqual(['examples/a.json', 'examples/b.json']);
  expect(textAt(repository, before, 'examples/a.json')).toBe('[1]');
  expect(textAt(repository, before, 'examples/c.json')).toBeUndefined();
});
