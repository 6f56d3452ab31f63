import { JetStreamApiError } from '@nats-io/jetstream';
import { type Broker, connectBroker } from '#kit/broker.ts';
import { PERSONAL_DATA_BUCKET, PersonalData } from '#kit/personal-data.ts';
import { masterKey, type PlatformSettings } from '#kit/platform-settings.ts';
import { StartError } from '#kit/process.ts';
import { SettingsError } from '#kit/settings.ts';

/** The server's code for a stream that is not there (nats-server, errors.json). */
const STREAM_NOT_FOUND = 10059;

/**
 * Destroys the keys of a customer. Returns what it did, in words.
 * @throws SettingsError without a broker's address; StartError where it is not the platform's, or the customer is
 *   unknown there; MasterKeyError where the platform has another master key.
 */
export async function eraseCustomer(customer: string, settings: PlatformSettings): Promise<string> {
  const { natsUrl } = settings;
  if (natsUrl === undefined) throw new SettingsError('NATS_URL must be set: the broker that has the keys');
  const broker = await connectBroker({ url: natsUrl, credentials: settings.natsCreds, name: 'causeway-cli' }).catch(
    (error) => {
      // The address may hold a password.
      throw new StartError(
        `the broker at NATS_URL can not be reached: ${error instanceof Error ? error.message : error}`,
      );
    },
  );
  try {
    const replicas = await replicasOfBucket(broker);
    const personalData = await PersonalData.open({ ...broker, replicas }, masterKey(settings));
    const { destroyed, destroyedBefore } = await personalData.destroy(customer);
    if (destroyed === 0 && destroyedBefore === 0) {
      throw new StartError(
        `there is no key of customer ${customer}: nothing was ever stored of them, or not under this id`,
      );
    }
    if (destroyed === 0) return `customer ${customer} was erased before; there was no key left to destroy`;
    return (
      `destroyed ${destroyed} ${destroyed === 1 ? 'key' : 'keys'} of customer ${customer}\n` +
      'now, or in a minute if their calls went on: build the views anew; see docs/operating.md'
    );
  } finally {
    await broker.close();
  }
}

/** Looks before anything is opened, which would make a bucket at a broker that is not the platform's. */
async function replicasOfBucket(broker: Broker): Promise<number> {
  try {
    const { config } = await broker.manager.streams.info(`KV_${PERSONAL_DATA_BUCKET}`);
    return config.num_replicas;
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== STREAM_NOT_FOUND) throw error;
    throw new StartError(`there are no customers' keys at NATS_URL (no bucket ${PERSONAL_DATA_BUCKET})`);
  }
}
