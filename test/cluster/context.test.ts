import { describe, expect, test } from 'vitest';
import { isLocal } from './context.ts';

const own = new Set(['10.0.0.5', 'fd00::5']);

describe('a cluster', () => {
  test.each([
    ['kind-trial', 'https://203.0.113.7:6443'],
    ['minikube', 'https://192.168.49.2:8443'],
    ['anything', 'https://127.0.0.1:6443'],
    ['anything', 'https://[::1]:6443'],
    ['anything', 'https://localhost:6443'],
    ['anything', 'https://10.0.0.5:6443'],
    ['anything', 'https://[fd00::5]:6443'],
  ])('%s at %s is on this machine', (context, server) => {
    expect(isLocal(context, server, own)).toBe(true);
  });

  test.each([
    ['production', 'https://203.0.113.7:6443'],
    ['my-kind-of-cluster', 'https://10.0.0.6'],
    ['anything', 'https://localhost.example.com:6443'],
    ['anything', 'https://127.example.com'],
  ])('%s at %s is not', (context, server) => {
    expect(isLocal(context, server, own)).toBe(false);
  });
});
