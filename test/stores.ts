import { Writable } from 'node:stream';
import { fromBinary, toJsonString } from '@bufbuild/protobuf';
import { AckPolicy, DeliverPolicy } from '@nats-io/jetstream';
import { BSON, MongoClient } from 'mongodb';
import { AggregateStateSchema } from '#gen/causeway/events/v1/aggregate_pb.js';
import { eventRegistry } from '#gen/events.js';
import { Header, type StoredMessage } from '#kit/event.ts';
import { storedFromConsumer } from '#kit/journal.ts';
import { unsealed } from '#kit/personal-data.ts';
import type { ServiceParts } from '#kit/service-parts.ts';

/** Where something is kept, with all of its bytes in the clear. */
export type Place = { name: string; holds: string };

/** A log that remembers all of its lines. */
export function rememberedLog() {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _, done) {
      lines.push(String(chunk));
      done();
    },
  });
  return { destination, text: () => lines.join('') };
}

/** Everything that is stored: each message of each stream, opened with the keys that there are; each document. */
export async function everythingStored(parts: ServiceParts, mongodbUri: string): Promise<Place[]> {
  return [...(await everyMessage(parts)), ...(await everyDocument(mongodbUri))];
}

/** Names of the places that hold any of these words, however they are written. */
export function whereIs(places: readonly Place[], words: readonly string[]): string[] {
  const sought = words.map((word) => word.toLowerCase());
  return places
    .filter(({ holds }) => {
      const text = holds.toLowerCase();
      return sought.some((word) => text.includes(word));
    })
    .map(({ name }) => name);
}

async function everyMessage({ broker, personalData }: ServiceParts): Promise<Place[]> {
  const found: Place[] = [];
  const { streams, consumers } = broker.manager;
  for await (const { config, state } of streams.list()) {
    if (state.messages === 0) continue;
    const { name } = await consumers.add(config.name, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.All,
      mem_storage: true,
    });
    const messages = await (await broker.js.consumers.get(config.name, name)).fetch({
      max_messages: state.messages,
      expires: 2_000,
    });
    for await (const message of messages) {
      const stored = storedFromConsumer(message);
      found.push({ name: `${config.name} ${stored.subject}`, holds: await wordsOf(stored, personalData) });
    }
    await consumers.delete(config.name, name);
  }
  return found;
}

/** What a message says, in every way in which it can be read. */
async function wordsOf(message: StoredMessage, keys: ServiceParts['personalData']): Promise<string> {
  const { subject, data, headers } = message;
  const all = headers.keys().flatMap((name) => [name, ...headers.values(name)]);
  const state = Buffer.from(headers.get(Header.state), 'base64');
  const type = eventRegistry.getMessage(headers.get(Header.type));
  const keyId = headers.get(Header.key);
  const opened =
    type === undefined || keyId === ''
      ? undefined
      : await unsealed(type, data, headers.get(Header.subject), keyId, keys);
  const said =
    type === undefined || opened === undefined ? '' : toJsonString(type, opened as never, { registry: eventRegistry });
  const inState = state.length === 0 ? Buffer.of() : fromBinary(AggregateStateSchema, state).state;
  return [subject, ...all, Buffer.from(data), state, Buffer.from(inState), said].map(String).join('\n');
}

/** Each document of the platform's databases, also what stands in it as bytes. */
async function everyDocument(mongodbUri: string): Promise<Place[]> {
  const client = await MongoClient.connect(mongodbUri);
  const found: Place[] = [];
  try {
    const path = new URL(mongodbUri).pathname.slice(1) || 'causeway';
    const { databases } = await client.db().admin().listDatabases({ nameOnly: true });
    for (const { name } of databases.filter((database) => database.name.startsWith(`${path}_`))) {
      for (const { name: collection } of await client.db(name).listCollections().toArray()) {
        for await (const document of client.db(name).collection(collection).find()) {
          found.push({
            name: `${name}.${collection}`.slice(path.length + 1),
            holds: Buffer.from(BSON.serialize(document)).toString(),
          });
        }
      }
    }
  } finally {
    await client.close();
  }
  return found;
}
