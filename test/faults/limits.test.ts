import { once } from 'node:events';
import { connect, type Settings } from 'node:http2';
import { describe, expect, onTestFinished, test } from 'vitest';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { all, connectClient, grpcAs, ordersOf, type Refused, refusal } from '../clients.ts';
import { bearer, nothingFollows, testPlatform } from '../platform.ts';

const PER_SECOND = 5;
const platform = await testPlatform({ environment: { ...nothingFollows, RATE_LIMIT: String(PER_SECOND) } });
const { listItems } = InventoryService.method;

describe(`with RATE_LIMIT=${PER_SECOND}`, () => {
  test('a caller that is too fast is told when to come back, and is heard then; another is not affected', async () => {
    const eve = [await grpcAs(platform, 'eve'), connectClient(platform, await bearer('eve'))] as const;
    const bob = await grpcAs(platform, 'bob');

    const burst = await Promise.allSettled(
      Array.from({ length: 40 }, (_, index) => eve[index % 2]?.call(listItems, {})),
    );

    const refused = burst.flatMap((each) => (each.status === 'rejected' ? [each.reason as Refused] : []));
    // A burst of twice the rate, at both doors together; it may have lasted long enough for some more.
    expect(refused.length).toBeGreaterThanOrEqual(10);
    expect(refused.length).toBeLessThanOrEqual(40 - 2 * PER_SECOND);
    for (const each of refused) {
      expect(each).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'TOO_MANY_CALLS' });
      expect(each.retryAfterMs).toBeGreaterThan(0);
      expect(each.retryAfterMs).toBeLessThanOrEqual(2_000);
    }
    // Streams count as calls do. On a slow machine some may be admitted again: of an order that is none.
    const stream = () => refusal(all(ordersOf(eve[0]).watch('00000000-0000-4000-8000-000000000001')));
    const streams = await Promise.all(Array.from({ length: 40 }, stream));
    expect(streams.map(({ code }) => code)).toContain('RESOURCE_EXHAUSTED');
    expect((await bob.call(listItems, {})).items).toHaveLength(5);
    const again = () =>
      eve[0].call(listItems, {}).then(
        () => 'OK',
        (error: Refused) => error.code,
      );
    await expect.poll(again, { timeout: 10_000, interval: 100 }).toBe('OK');
  });

  test('who has no token uses up nobody', async () => {
    await Promise.allSettled(Array.from({ length: 40 }, () => connectClient(platform, '').call(listItems, {})));

    expect(await refusal(connectClient(platform, '').call(listItems, {}))).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await (await grpcAs(platform, 'carol')).call(listItems, {})).items).toHaveLength(5);
  });
});

describe('of streams', () => {
  test('a caller has 64 open at both doors together; one more is refused until it gives one up', async () => {
    const { grpc, http } = await testPlatform({ environment: nothingFollows });
    const doors = { grpc, http };
    const eve = [await grpcAs(doors, 'eve'), connectClient(doors, await bearer('eve'))].map(ordersOf);
    const { orderId } = await ordersOf(await grpcAs(doors, 'eve')).place();
    const watching = new Set<AbortController>();
    const watch = async (door: (typeof eve)[number] | undefined) => {
      const caller = new AbortController();
      watching.add(caller);
      const events = door?.watch(orderId, { signal: caller.signal })[Symbol.asyncIterator]();
      await events?.next();
      // Held open: what comes next never does, and ends with the test.
      events?.next().catch(() => {});
    };
    onTestFinished(() => {
      for (const caller of watching) caller.abort();
    });
    await Promise.all(Array.from({ length: 64 }, (_, index) => watch(eve[index % 2])));

    for (const door of eve) {
      expect(await refusal(all(door.watch(orderId)))).toMatchObject({
        code: 'RESOURCE_EXHAUSTED',
        reason: 'TOO_MANY_STREAMS',
      });
      expect(await door.get(orderId)).toMatchObject({ orderId });
    }
    const bob = ordersOf(await grpcAs(doors, 'bob'));
    expect(await refusal(all(bob.watch(orderId)))).toMatchObject({ code: 'NOT_FOUND' });

    const [byGrpc, byConnect] = watching;
    for (const [index, caller] of [byGrpc, byConnect].entries()) {
      caller?.abort();
      await expect
        .poll(() =>
          watch(eve[index]).then(
            () => 'watches',
            (error: Refused) => error.reason,
          ),
        )
        .toBe('watches');
    }
  });

  test('one connection has 1,000 calls at a time, of whatever kind', async () => {
    const session = connect(`http://${platform.grpc}`);
    onTestFinished(() => session.destroy());

    const [settings] = (await once(session, 'remoteSettings')) as [Settings];

    expect(settings.maxConcurrentStreams).toBe(1_000);
  });
});
