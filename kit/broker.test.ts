import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { answered, type Broker, connectBroker } from './broker.ts';
import { UnavailableError } from './errors.ts';
import { startProxy } from './testing/proxy.ts';
import { ownNats, sharedNatsUrl } from './testing/servers.ts';

const open: Broker[] = [];

async function connected(url: string, options: { pingIntervalMs?: number } = {}): Promise<Broker> {
  const broker = await connectBroker({ url, name: 'test', ...options });
  open.push(broker);
  return broker;
}

afterEach(async () => {
  for (const broker of open.splice(0)) await broker.close();
});

describe('a connection to the broker', () => {
  test('is refused at once where nobody answers', async () => {
    await expect(connectBroker({ url: 'nats://127.0.0.1:1', name: 'test' })).rejects.toThrow();
  });

  test('is made to another address where the first does not answer', async () => {
    const broker = await connected(`nats://127.0.0.1:1,${sharedNatsUrl()}`);
    expect(broker.connected()).toBe(true);
  });

  test('says that it is lost, comes back by itself and calls who wants to know', async () => {
    const nats = await ownNats();
    const broker = await connected(nats.url);
    const back = vi.fn();
    const notToldAnyMore = vi.fn();
    broker.onReconnect(back);
    broker.onReconnect(notToldAnyMore)();
    await nats.kill();
    await expect.poll(() => broker.connected()).toBe(false);
    expect(back).not.toHaveBeenCalled();
    await nats.restart();
    await expect.poll(() => broker.connected(), { timeout: 10_000 }).toBe(true);
    expect(back).toHaveBeenCalledOnce();
    expect(notToldAnyMore).not.toHaveBeenCalled();
    await broker.connection.flush();
  });

  test('that leads nowhere is noticed, and another is made', async () => {
    const proxy = await startProxy(sharedNatsUrl());
    const broker = await connected(proxy.url, { pingIntervalMs: 50 });
    const back = vi.fn();
    broker.onReconnect(back);
    proxy.hold('answers');
    await expect.poll(() => broker.connected(), { timeout: 10_000 }).toBe(false);
    proxy.release('answers');
    await vi.waitFor(() => expect(back).toHaveBeenCalled(), { timeout: 10_000 });
    await proxy.close();
  });

  test('is not connected any more after it was closed, and can be closed twice', async () => {
    const broker = await connected(sharedNatsUrl());
    await broker.close();
    await broker.close();
    expect(broker.connected()).toBe(false);
  });
});

describe('a request to the broker', () => {
  test('is answered', async () => {
    const broker = await connected(sharedNatsUrl());
    expect(await answered(broker, async () => 'yes')).toBe('yes');
  });

  test('fails as what it is where something is wrong with it', async () => {
    const broker = await connected(sharedNatsUrl());
    const wrong = new TypeError('wrong');
    await expect(answered(broker, () => Promise.reject(wrong))).rejects.toBe(wrong);
  });

  test('that nobody answers is an outage', async () => {
    const broker = await connected(sharedNatsUrl());
    broker.connection.subscribe('nobody.answers', { callback: () => {} });
    const silence = answered(broker, () => broker.connection.request('nobody.answers', '', { timeout: 20 }));
    await expect(silence).rejects.toThrow(UnavailableError);
  });

  test('to a stream that has no leader now is an outage', async () => {
    const broker = await connected(sharedNatsUrl());
    const published = answered(broker, () => broker.js.publish('stream.without.a.leader', ''));
    await expect(published).rejects.toThrow(UnavailableError);
  });

  test('is not even made while the broker is away', async () => {
    const nats = await ownNats();
    const broker = await connected(nats.url);
    await nats.kill();
    await expect.poll(() => broker.connected()).toBe(false);
    const request = vi.fn(() => delay(1));
    await expect(answered(broker, request)).rejects.toThrow(UnavailableError);
    expect(request).not.toHaveBeenCalled();
  });
});
