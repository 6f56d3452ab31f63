import type { Db } from 'mongodb';
import { onTestFinished } from 'vitest';
import {
  type MoneyDeposited,
  MoneyDepositedSchema,
  type MoneyWithdrawn,
  MoneyWithdrawnSchema,
} from '#gen/causeway/testing/v1/account_pb.js';
import type { Broker } from '#kit/broker.ts';
import { connectDatabase } from '#kit/database.ts';
import { DeadLetterHeader } from '#kit/dead-letters.ts';
import { EventTypes } from '#kit/event.ts';
import { Journal } from '#kit/journal.ts';
import { partitionOf } from '#kit/partitions.ts';
import { Projection } from '#kit/projection.ts';
import { silent } from '#kit/telemetry/logging.ts';
import { type Checkpoint, checkpointIds, collectionOf, type Stored, type View } from '#kit/view.ts';
import type { Bank } from './reacting.ts';

/** An account as the tests read it: each amount that came in or went out, in the order in which it did. */
export type AccountDocument = { amounts: number[] };

type AccountView = View<AccountDocument, MoneyDeposited | MoneyWithdrawn>;

/** What was paid in and out of the bank's accounts. An event that is applied twice, or not at all, shows. */
export function accountsView({ journal }: Bank, changes: Partial<AccountView> = {}): AccountView {
  return {
    name: 'accounts',
    version: 1,
    sources: [{ journal: journal.declaration, aggregate: 'account' }],
    types: new EventTypes([MoneyDepositedSchema, MoneyWithdrawnSchema]),
    project: (document, { data }) => ({ amounts: [...(document?.amounts ?? []), Number(data.amount)] }),
    ...changes,
  };
}

/** A connection to a database of the test's own, closed when the test ends. */
export function ownDatabase(uri: string): Db {
  const database = connectDatabase(uri, 'bank');
  onTestFinished(() => database.close());
  return database.db;
}

/** A projection of the bank's accounts; owns nothing yet, and is stopped when the test ends. */
export function projectionOf(
  bank: Bank,
  db: Db,
  {
    view = accountsView(bank),
    broker = bank.broker,
    watchMs = 200,
    leaseMs,
  }: { view?: AccountView; broker?: Broker; watchMs?: number; leaseMs?: number } = {},
): Projection<AccountDocument> {
  const personalData = { find: async () => undefined };
  const parts = { service: bank.service, broker, db, personalData, logger: silent };
  const projection = new Projection<AccountDocument>(view, parts, {
    watchMs,
    ...(leaseMs === undefined ? {} : { leaseMs }),
  });
  onTestFinished(() => projection.stop());
  return projection;
}

/** The document of this id, as a query reads it. */
export async function documentOf(
  view: Projection<AccountDocument>,
  id: string,
): Promise<Stored<AccountDocument> | undefined> {
  const { find } = await view.reached([], AbortSignal.timeout(10_000));
  return find(id);
}

/** Who has claimed each partition of the accounts, by partition. An owner is one turn of one process. */
export async function ownersOf(db: Db): Promise<string[]> {
  const collection = db.collection<Checkpoint>(collectionOf({ name: 'accounts', version: 1 }));
  const checkpoints = await collection.find({ positions: { $exists: true } }).toArray();
  const owners = new Map(checkpoints.map(({ _id, owner }) => [_id, owner]));
  return checkpointIds().map((id) => owners.get(id) ?? '');
}

/** What a view has parked for a key, first to last. */
export async function parkedOf(
  bank: Bank,
  key: string,
  view: { name: string; version: number } = accountsView(bank),
): Promise<{ sequence: number; reason: string }[]> {
  const letters = new Journal({ service: 'dead', stream: 'DEAD_LETTERS', maxBytes: 0 }, bank.broker);
  const subject = `dead.${bank.service}-${collectionOf(view)}.${partitionOf(key)}.${key}`;
  return (await letters.history(subject)).map(({ headers }) => ({
    sequence: Number(headers.get(DeadLetterHeader.sequence)),
    reason: headers.get(DeadLetterHeader.reason),
  }));
}
