import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';
import { InvalidArgumentError } from 'commander';
import {
  OperationsService,
  type ReplayDeadLettersResponse,
  ReplayDeadLettersResponseSchema,
} from '#gen/causeway/operations/v1/operations_service_pb.js';
import { eventRegistry } from '#gen/events.js';
import { SettingsError } from '#kit/settings.ts';
import { type Chosen, filterOf } from './choosing.ts';
import { asOperator, type CallingOptions } from './gateway-client.ts';
import { asJson, print, printable, table, tell } from './printing.ts';

export type ReplayOptions = CallingOptions &
  Chosen & { all: boolean; dryRun: boolean; edit?: string; rate?: number; because: string; requestId?: string };

/** `dead-letters replay`: tells each key as it is done. Fails where a key does again. */
export async function replay(options: ReplayOptions): Promise<void> {
  const { all, dryRun, rate: keysPerSecond = 0, because: reason, requestId = randomUUID(), json } = options;
  const edited = options.edit === undefined ? {} : { edited: await editFrom(options.edit) };
  const request = { filter: filterOf(options), all, dryRun, keysPerSecond, reason, requestId, ...edited };
  const done: ReplayDeadLettersResponse[] = [];
  try {
    await asOperator(OperationsService, options, async (client) => {
      for await (const each of client.replayDeadLetters(request)) {
        done.push(each);
        if (json) print(asJson(ReplayDeadLettersResponseSchema, each));
        else if (!dryRun) tell(progressLine(each));
      }
    });
  } catch (error) {
    if (!dryRun) tell(`what was begun goes on with --request-id ${requestId}`);
    throw error;
  }
  if (!dryRun && done.some(({ error }) => error !== '')) process.exitCode = 1;
  if (json) return;
  if (dryRun && done.length > 0) print(dryRunTable(done));
  tell(summary(done, dryRun));
}

function progressLine({ keysDone, keysTotal, consumer, key, handled, remaining, error }: ReplayDeadLettersResponse) {
  const left = remaining === 0 ? '' : `, ${remaining} still parked`;
  const why = error === '' ? '' : `: ${printable(error)}`;
  return `[${keysDone}/${keysTotal}] ${consumer} ${key}: ${handled} handled${left}${why}`;
}

function dryRunTable(keys: readonly ReplayDeadLettersResponse[]): string {
  const rows = keys.map(({ consumer, key, remaining, error }) => [consumer, key, String(remaining), error]);
  return table(['CONSUMER', 'KEY', 'MESSAGES', 'ERROR'], rows);
}

function summary(done: readonly ReplayDeadLettersResponse[], dryRun: boolean): string {
  if (done.length === 0) return 'nothing is parked that matches';
  const handled = done.reduce((sum, each) => sum + each.handled, 0);
  const parked = done.reduce((sum, each) => sum + each.remaining, 0);
  if (dryRun) return `${parked} messages of ${done.length} keys would be replayed; nothing was done`;
  return `${handled} messages handled, ${parked} still parked`;
}

/** @throws SettingsError where the file is not what `show --data` prints, changed. */
async function editFrom(path: string): Promise<Any> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new SettingsError(`--edit: ${path} can not be read: ${error.code}`);
  });
  try {
    return fromJson(AnySchema, JSON.parse(text) as JsonValue, { registry: eventRegistry });
  } catch (error) {
    const why = error instanceof Error ? error.message : error;
    throw new SettingsError(`--edit: ${path} is no message as \`show --data\` prints it: ${why}`);
  }
}

export function rateFrom(given: string): number {
  if (!/^([1-9]\d{0,2}|1000)$/.test(given)) throw new InvalidArgumentError('It is a number from 1 to 1000.');
  return Number(given);
}
