import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compositions } from '../../platform.ts';
import { runCauseway } from '../testing/run.ts';
import { addresses, deployEntry, deployPath, kustomization } from './deploy-entry.ts';
import { namesOf, renamed } from './names.ts';
import { ADDRESSES, KUSTOMIZATION, planOf } from './plan.ts';
import { withAdditions } from './wiring.ts';

const root = new URL('../../../', import.meta.url).pathname;
const read = (path: string) => readFileSync(join(root, path), 'utf8');

describe('the names of a new service', () => {
  test('have each form that source code has for them', () => {
    const { service, aggregate, aggregates } = namesOf('gift-cards');

    expect(service).toEqual({
      kebab: 'gift-cards',
      snake: 'gift_cards',
      camel: 'giftCards',
      pascal: 'GiftCards',
      capitals: 'GIFT_CARDS',
      prose: 'gift cards',
    });
    expect([aggregate.kebab, aggregates.kebab]).toEqual(['gift-card', 'gift-cards']);
  });

  test.each([
    ['reviews', 'review', 'reviews'],
    ['deliveries', 'delivery', 'deliveries'],
    ['addresses', 'address', 'addresses'],
    ['loyalty', 'loyalty', 'loyalties'],
    ['press', 'press', 'presses'],
  ])('of %s: one %s, several %s', (service, one, several) => {
    const { aggregate, aggregates } = namesOf(service);
    expect([aggregate.kebab, aggregates.kebab]).toEqual([one, several]);
  });

  test('stand in for those of the template, with the article that they need', () => {
    const text =
      'A blank page of the blank slate: BlankPages, blank_page_id, blankPagesView, BLANK_SLATE, blank-slate.';

    expect(renamed(text, namesOf('archive', 'entry'))).toBe(
      'An entry of the archive: Entries, entry_id, entriesView, ARCHIVE, archive.',
    );
  });

  test.each([
    ['Reviews', undefined, 'is no name'],
    ['gift_cards', undefined, 'is no name'],
    ['-cards', undefined, 'is no name'],
    ['../cards', undefined, 'is no name'],
    ['a'.repeat(29), undefined, 'longer than 28'],
    ['gateway', undefined, 'means something else'],
    ['class', undefined, 'means something else'],
    ['dead-letters', undefined, 'means something else'],
    ['orders', undefined, 'services/orders is there already'],
    ['webhooks', undefined, 'proto/causeway/webhooks is there already'],
    ['nats', undefined, 'NATS_URL is the name of a setting'],
    ['settings', undefined, 'settings means something else in gateway/platform.ts'],
    ['reviews', 'door', 'door means something else in a service'],
    ['reviews', 'reviews-service', "the contract's service is called so"],
  ])('can not be %s with %s', (service, aggregate, said) => {
    expect(() => planOf(root, namesOf(service, aggregate))).toThrow(said);
  });
});

describe('a new service', () => {
  const { written, changed, examples } = planOf(root, namesOf('gift-cards', 'voucher'));

  test('has nothing left of the template in it', () => {
    const all = [...written, ['examples', JSON.stringify(examples)] as const];

    expect(written.size).toBeGreaterThan(12);
    expect(all.filter(([path, text]) => /blank.?(slate|page)/i.test(`${path} ${text}`))).toEqual([]);
    expect([...written].filter(([, text]) => text.includes('b1a9c000'))).toEqual([]);
  });

  test('is wired in where it has to be known, and the rest of these files stays', () => {
    expect(changed.get('gateway/platform.ts')).toContain("\n  operations,\n  'gift-cards': giftCards,\n");
    for (const [path, text] of changed) {
      if (path.startsWith('deploy/')) continue;
      const added = text.split('\n').filter((line) => /gift.?cards/i.test(line));
      expect(added.length, path).toBeGreaterThan(0);
      const kept = text.replaceAll(/, `GIFT_CARDS`| GIFT_CARDS(?= \\)/g, '').split('\n');
      expect(kept.filter((line) => !/gift.?cards/i.test(line)).join('\n'), path).toBe(read(path));
    }
  });

  test('is not wired into a file that is not as the tool knows it', () => {
    const addition = { path: 'gateway/services.ts', line: 'one more', after: /^a line that is not there$/ };

    expect(() => withAdditions('one\ntwo', [addition])).toThrow('gateway/services.ts has no place for "one more"');
  });

  test('is shown by a dry run, which writes nothing', async () => {
    const { status, stdout } = await runCauseway(['new-service', 'gift-cards', '--aggregate', 'voucher', '--dry-run']);

    expect(status).toBe(0);
    for (const path of [...written.keys(), ...changed.keys()]) expect(stdout).toContain(path);
    expect(globSync('{services/gift-cards,proto/causeway/gift_cards}', { cwd: root })).toEqual([]);
  });

  test('with a name that can not be is refused without a stack', async () => {
    const { status, stdout, stderr } = await runCauseway(['new-service', 'orders']);

    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toBe('services/orders is there already\n');
  });
});

describe('the deploy entries', () => {
  test.each(Object.keys(compositions))('of %s are as of every service', (service) => {
    expect(read(deployPath(service))).toBe(deployEntry(service));
  });

  test('are those of all services, and all are listed', () => {
    const services = Object.keys(compositions);

    expect(globSync('deploy/base/services/*', { cwd: root }).toSorted()).toEqual(
      [...services.map(deployPath), KUSTOMIZATION, ADDRESSES].toSorted(),
    );
    expect(read(KUSTOMIZATION)).toBe(kustomization(services));
    expect(read(ADDRESSES)).toBe(addresses(services));
  });
});
