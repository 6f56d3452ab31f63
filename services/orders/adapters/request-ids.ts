import { hash } from 'node:crypto';
import { type KV, Kvm } from '@nats-io/kv';
import type { Broker } from '#kit/broker.ts';
import { CallError } from '#kit/errors.ts';

const BUCKET = 'orders-request-ids';

/**
 * Which order a customer's request id was used for, where the request names an order id of its own. Where it names
 * none, the order id is made from the request id, and the order itself remembers.
 */
export class RequestIds {
  readonly #bucket: KV;

  private constructor(bucket: KV) {
    this.#bucket = bucket;
  }

  static async open(broker: Broker): Promise<RequestIds> {
    const options = { history: 1, replicas: broker.replicas, allow_direct: false };
    return new RequestIds(await new Kvm(broker.js).create(BUCKET, options));
  }

  /** @throws CallError ALREADY_EXISTS where the request id was used for another order. */
  async claim(customerId: string, requestId: string, orderId: string): Promise<void> {
    const key = hash('sha256', `${customerId}\n${requestId}`, 'base64url');
    const known = await this.#bucket.get(key);
    const holder = known?.string() ?? (await this.#put(key, orderId));
    if (holder !== orderId) {
      throw new CallError('ALREADY_EXISTS', `request ${requestId} was made before, for order ${holder}`, {
        reason: 'REQUEST_DIFFERS',
      });
    }
  }

  async #put(key: string, orderId: string): Promise<string> {
    try {
      await this.#bucket.create(key, orderId);
      return orderId;
    } catch (error) {
      const theirs = await this.#bucket.get(key);
      if (theirs === null) throw error;
      return theirs.string();
    }
  }
}
