import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { createFileRegistry, type DescService } from '@bufbuild/protobuf';
import { type FileDescriptorProto, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { InventoryService } from '#gen/causeway/inventory/v1/inventory_service_pb.js';
import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { bearer, nothingFollows, type TestPlatform, testPlatform } from '../platform.ts';
import { pythonWithPackages } from './python.ts';
import { ReflectionClient, type ReflectionVersion } from './reflection-client.ts';

let platform: TestPlatform;

beforeAll(async () => {
  platform = await testPlatform({ environment: nothingFollows });
});

function reflection(version: ReflectionVersion): ReflectionClient {
  const client = new ReflectionClient(platform.grpc, version);
  onTestFinished(() => client.close());
  return client;
}

describe.each(['v1', 'v1alpha'] as const)('reflection %s', (version) => {
  test('names the services of the platform', async () => {
    expect(await reflection(version).services()).toEqual(
      expect.arrayContaining([OrderService.typeName, InventoryService.typeName]),
    );
  });

  test('gives the contract of a service, whole: every method and message, and every file that it imports', async () => {
    const client = reflection(version);

    const contract = await contractOf(client, OrderService.typeName);

    expect(methodsOf(contract.getService(OrderService.typeName))).toEqual(methodsOf(OrderService));
  });

  test('gives the types of events, which no method names', async () => {
    const file = await reflection(version).fileOf('causeway.inventory.v1.ItemListed');

    expect(file.name).toBe('causeway/inventory/v1/events.proto');
  });

  test.each(['causeway.orders.v1.OrderState', 'causeway.inventory.v1.ItemState'])(
    'keeps to itself what a service stores for itself: %s',
    async (type) => {
      await expect(reflection(version).fileOf(type)).rejects.toThrow(/not found/i);
    },
  );

  test('says that it knows no symbol of this name', async () => {
    await expect(reflection(version).fileOf('causeway.orders.v1.NoSuchThing')).rejects.toThrow(/not found/i);
  });
});

describe('a Python client that knows the contracts by reflection only', () => {
  test('places an order, reads it, watches it, and is told what is wrong', async () => {
    const python = await pythonWithPackages();
    const script = new URL('order_client.py', import.meta.url).pathname;
    const [, token = ''] = (await bearer('ada')).split(' ');

    const { stdout } = await promisify(execFile)(python, [script, platform.grpc, token], {
      env: { PATH: process.env.PATH },
    });

    const seen = JSON.parse(stdout);
    expect(seen).toMatchObject({
      placed: { version: '1', position: { stream: 'ORDERS' } },
      read: {
        orderId: seen.placed.orderId,
        customerId: 'ada',
        status: 'ORDER_STATUS_PLACED',
        lines: [{ sku: 'grinder', quantity: 3 }],
      },
      events: [
        { type: 'causeway.orders.v1.OrderPlaced', version: '1', data: { email: 'ada@example.com' } },
        { type: 'causeway.orders.v1.OrderCancelled', version: '2', data: { reason: 'too late' } },
      ],
      wrong: {
        code: 'INVALID_ARGUMENT',
        details: [{ type: 'google.rpc.BadRequest', fieldViolations: [{ field: 'lines[0].quantity' }] }],
      },
      // Its library gives an error up whose trailers are larger than 8 KiB.
      many_wrong: {
        code: 'INVALID_ARGUMENT',
        details: [{ type: 'google.rpc.BadRequest', fieldViolations: expect.objectContaining({ length: 10 }) }],
      },
      unknown: {
        code: 'NOT_FOUND',
        details: [{ type: 'google.rpc.ErrorInfo', reason: 'ORDER_UNKNOWN', domain: 'causeway' }],
      },
    });
    expect(seen.services).toEqual(expect.arrayContaining([OrderService.typeName]));
  });

  test('is not left out in silence where there is no Python: it is said what to install', async () => {
    vi.stubEnv('PATH', '/nowhere');
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });

    await expect(pythonWithPackages()).rejects.toThrow(/no python3 .*apt-get install python3 python3-venv/);
  });
});

/** A file and all that it imports, fetched one by one, as a registry: it can only be made if nothing is missing. */
async function contractOf(client: ReflectionClient, symbol: string) {
  const files = new Map<string, FileDescriptorProto>();
  // What is imported comes before what imports it.
  const collect = async (file: FileDescriptorProto) => {
    for (const name of file.dependency) if (!files.has(name)) await collect(await client.fileNamed(name));
    files.set(file.name, file);
  };
  await collect(await client.fileOf(symbol));
  return createFileRegistry({ $typeName: FileDescriptorSetSchema.typeName, file: [...files.values()] });
}

function methodsOf(service: DescService | undefined) {
  return service?.methods.map(({ name, methodKind, input, output }) => ({
    name,
    methodKind,
    input: input.fields.map((field) => `${field.name} ${field.number} ${field.fieldKind}`),
    output: output.fields.map((field) => `${field.name} ${field.number} ${field.fieldKind}`),
  }));
}
