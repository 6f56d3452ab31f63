import { PERSONAL_DATA_BUCKET, PersonalData } from '#kit/personal-data.ts';
import { masterKey, type PlatformSettings } from '#kit/platform-settings.ts';
import { StartError } from '#kit/process.ts';
import { findStream } from '#kit/streams.ts';
import { atBroker } from './broker.ts';

/**
 * Destroys the keys of a customer. Returns what it did, in words.
 * @throws SettingsError without a broker's address; StartError where it is not the platform's, or the customer is
 *   unknown there; MasterKeyError where the platform has another master key.
 */
export function eraseCustomer(customer: string, settings: PlatformSettings): Promise<string> {
  return atBroker(settings, async (broker) => {
    // Opened without looking, it would be made at a broker that is not the platform's.
    const bucket = await findStream(broker.manager, `KV_${PERSONAL_DATA_BUCKET}`);
    if (bucket === undefined) {
      throw new StartError(`there are no customers' keys at NATS_URL (no bucket ${PERSONAL_DATA_BUCKET})`);
    }
    const replicas = bucket.config.num_replicas;
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
  });
}
