import { randomUUID } from 'node:crypto';
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BlankSlateService } from '#gen/causeway/blank_slate/v1/blank_slate_service_pb.js';
import { openTestParts, ownNats, sharedMongoUri } from '#kit/testing/servers.ts';
import { blankSlate } from './blank-slate.ts';

const { addBlankPage, getBlankPage, listBlankPages } = BlankSlateService.method;
const nats = await ownNats();
const parts = await openTestParts('blank-slate', { natsUrl: nats.url, mongodbUri: sharedMongoUri() });
let service = await blankSlate(parts);

beforeAll(() => service.start());
afterAll(() => service.stop());

function call<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethodUnary<Input, Output>,
  request: MessageInitShape<Input>,
  subject = 'alice',
): Promise<MessageShape<Output>> {
  const asked = {
    caller: { subject, role: subject === 'olga' ? ('operator' as const) : ('customer' as const) },
    authorization: '',
    correlationId: 'correlation',
    signal: AbortSignal.timeout(5_000),
    deadline: undefined,
  };
  const [door] = service.doors;
  return door?.messages.unary(method, create(method.input, request), asked) as Promise<MessageShape<Output>>;
}

async function added(title: string, subject = 'alice') {
  const { blankPageId, position } = await call(addBlankPage, { title, requestId: randomUUID() }, subject);
  return { blankPageId, atLeast: position === undefined ? [] : [position] };
}

describe('a blank page', () => {
  test('is shown to who added it, from the position of the answer on', async () => {
    const { blankPageId, atLeast } = await added('The first');

    const { blankPage } = await call(getBlankPage, { blankPageId, atLeast });

    expect(blankPage).toMatchObject({ blankPageId, customerId: 'alice', title: 'The first', version: 1n });
  });

  test('is added once, however often the same request comes', async () => {
    const request = { title: 'Once', requestId: randomUUID() };
    const first = await call(addBlankPage, request);

    expect(await call(addBlankPage, request)).toEqual(first);
    await expect(call(addBlankPage, { ...request, title: 'Twice' })).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  test('has a title', async () => {
    await expect(call(addBlankPage, { requestId: randomUUID() })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { violations: [{ field: 'title' }] },
    });
  });

  test('of another customer is as good as none, and operators see it', async () => {
    const { blankPageId, atLeast } = await added('Not for Bob');

    await expect(call(getBlankPage, { blankPageId, atLeast }, 'bob')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      details: { reason: 'BLANK_PAGE_UNKNOWN' },
    });
    expect(await call(getBlankPage, { blankPageId }, 'olga')).toMatchObject({ blankPage: { title: 'Not for Bob' } });
  });

  test('is there when the service comes back, and so is the answer to its request', async () => {
    const request = { title: 'Lasting', requestId: randomUUID() };
    const first = await call(addBlankPage, request);
    await service.stop();
    service = await blankSlate(parts);
    await service.start();

    expect(await call(addBlankPage, request)).toEqual(first);
    const atLeast = first.position === undefined ? [] : [first.position];
    expect(await call(getBlankPage, { blankPageId: first.blankPageId, atLeast })).toMatchObject({
      blankPage: { title: 'Lasting' },
    });
  });
});

test('a list has what a customer added, each once, on pages of any size', async () => {
  const ids: string[] = [];
  const positions = [];
  for (const title of ['One', 'Two', 'Three']) {
    const { blankPageId, atLeast } = await added(title, 'carol');
    ids.push(blankPageId);
    positions.push(...atLeast);
  }
  await added('Not for Carol', 'dave');
  for (const pageSize of [0, 1, 2, 3]) {
    const listed: string[] = [];
    let pageToken = '';
    do {
      const page = await call(listBlankPages, { pageSize, pageToken, atLeast: positions }, 'carol');
      listed.push(...page.blankPages.map(({ blankPageId }) => blankPageId));
      pageToken = page.nextPageToken;
    } while (pageToken !== '' && listed.length < 10);
    expect(listed).toEqual(ids.toSorted());
  }
});

test('it is healthy', async () => {
  expect(await service.health()).toEqual({ ready: true, reasons: [] });
});
