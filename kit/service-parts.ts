import type { Db } from 'mongodb';
import type { Broker } from './broker.ts';
import { connectAtStart } from './broker-at-start.ts';
import { connectDatabase } from './database.ts';
import type { Service } from './lifecycle.ts';
import { PersonalData } from './personal-data.ts';
import { needsKeys } from './service-descriptions.ts';
import type { Logger } from './telemetry/logging.ts';

/** Starts a service, with customers' keys where it has to do with them. @throws as `PersonalData.begin` and its start do. */
export async function startService(
  service: Service,
  { personalData }: Pick<ServiceParts, 'personalData'>,
): Promise<void> {
  if (needsKeys(service.describe())) await personalData.begin();
  await service.start();
}

/** What a service is made from. Tests hand over other parts than production does, and nothing else differs. */
export type ServiceParts = {
  service: string;
  broker: Broker;
  db: Db;
  personalData: PersonalData;
  logger: Logger;
  clock: () => Date;
  /** Whether a first start fills in samples to play with. */
  sampleData: boolean;
  /** How long it is trusted what a view's register says; left out: 2 s. The same for all processes of the service. */
  viewLeaseMs?: number;
};

export type ServicePartsSettings = {
  natsUrl: string;
  natsCreds?: string | undefined;
  mongodbUri: string;
  /** Replicas of each stream: 3 on a cluster of brokers. */
  replicas: number;
  /** Size at which each journal refuses more; left out: 8 GiB. */
  journalMaxBytes?: number;
  /** 32 bytes. */
  personalDataKey: Buffer;
  sampleData: boolean;
};

/** Connects a service to its broker and database. Customers' keys are to be begun. */
export async function openServiceParts(
  service: string,
  settings: ServicePartsSettings,
  logger: Logger,
  clock: () => Date = () => new Date(),
): Promise<ServiceParts & { close(): Promise<void> }> {
  const broker = await connectAtStart({
    url: settings.natsUrl,
    credentials: settings.natsCreds,
    name: service,
    replicas: settings.replicas,
    journalMaxBytes: settings.journalMaxBytes,
    logger,
  });
  const database = connectDatabase(settings.mongodbUri, service);
  return {
    service,
    broker,
    db: database.db,
    personalData: PersonalData.at(broker, settings.personalDataKey),
    logger,
    clock,
    sampleData: settings.sampleData,
    close: async () => {
      await Promise.all([broker.close(), database.close()]);
    },
  };
}
