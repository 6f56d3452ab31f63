import { create } from '@bufbuild/protobuf';
import { expect, test, vi } from 'vitest';
import { PositionSchema } from '#gen/causeway/events/v1/position_pb.js';
import { partitionOf } from './partitions.ts';
import type { Projection } from './projection.ts';
import { type Bank, openBank } from './testing/reacting.ts';
import { sharedMongoUri, sharedNatsUrl } from './testing/servers.ts';
import { type AccountDocument, ownDatabase, projectionOf } from './testing/viewing.ts';

const soon = { timeout: 20_000, interval: 20 };

function positionOf(bank: Bank, key: string, sequence: number, partition = partitionOf(key)) {
  return create(PositionSchema, { stream: bank.journal.stream, partition, sequence: BigInt(sequence) });
}

function reached(
  projection: Projection<AccountDocument>,
  bank: Bank,
  key: string,
  sequence: number,
  timeoutMs = 20_000,
) {
  return projection.reached([positionOf(bank, key, sequence)], AbortSignal.timeout(timeoutMs));
}

async function amountsOf(projection: Projection<AccountDocument>, key: string): Promise<number[] | undefined> {
  return (await projection.find(key))?.amounts;
}

test('a view shows what was published, and a query that waits for a position sees it', async () => {
  const bank = await openBank(sharedNatsUrl());
  const projection = projectionOf(bank, ownDatabase(sharedMongoUri()));
  await bank.deposit('anna', 1);
  const sequence = await bank.withdraw('anna', 2);
  projection.start();
  await vi.waitFor(() => expect(projection.health()).toEqual({ ready: true, reasons: [] }), soon);
  await reached(projection, bank, 'anna', sequence);
  expect(await amountsOf(projection, 'anna')).toEqual([1, 2]);
});
