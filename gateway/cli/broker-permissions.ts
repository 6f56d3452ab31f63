import { MongoClient } from 'mongodb';
import type { Broker } from '#kit/broker.ts';
import { usersConfiguration } from '#kit/permissions/configuration.ts';
import { OPERATOR, operatorPermissions, type Permissions, servicePermissions } from '#kit/permissions/permissions.ts';
import { PersonalData } from '#kit/personal-data.ts';
import type { ServiceDescription } from '#kit/service-descriptions.ts';
import type { ServiceParts } from '#kit/service-parts.ts';
import { readSettings } from '#kit/settings.ts';
import { silent } from '#kit/telemetry/logging.ts';
import { allSettings, compositions } from '../platform.ts';
import type { ServiceName } from '../services.ts';

/** Where the configuration stands in the repository. */
export const PERMISSIONS_FILE = 'deploy/nats/permissions.conf';

/** What every service says of itself, by name. They are put together, and neither connected nor started. */
export async function serviceDescriptions(): Promise<ServiceDescription[]> {
  const settings = readSettings(allSettings, {});
  const names = (Object.keys(compositions) as ServiceName[]).sort();
  return Promise.all(names.map(async (name) => (await compositions[name](unconnected(name), settings)).describe()));
}

/** What each user of the broker may do: one for each service, and the operator. */
function permissionsOf(descriptions: readonly ServiceDescription[]): Permissions[] {
  const askers = [...descriptions.filter(({ oversees }) => oversees).map(({ service }) => service), OPERATOR.name];
  const services = descriptions.map(({ service }) => service);
  return [...descriptions.map((description) => servicePermissions(description, askers)), operatorPermissions(services)];
}

/** The broker's configuration of users, as it has to be. */
export async function permissionsConfiguration(): Promise<string> {
  return usersConfiguration(permissionsOf(await serviceDescriptions()));
}

/** What a service is made from, of which nothing leads anywhere. */
function unconnected(service: string): ServiceParts {
  const broker = new Proxy({} as Broker, {
    get: (_, part) => {
      throw new Error(`${service} asks the broker (${String(part)}) before it is started`);
    },
  });
  return {
    service,
    broker,
    db: new MongoClient('mongodb://127.0.0.1:1').db(service),
    personalData: PersonalData.at(broker, Buffer.alloc(32)),
    logger: silent,
    clock: () => new Date(),
    sampleData: false,
  };
}
