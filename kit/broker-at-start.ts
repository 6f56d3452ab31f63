import { type Broker, type BrokerOptions, connectBroker } from './broker.ts';
import { StartError } from './process.ts';
import { SettingsError } from './settings.ts';

/**
 * Connects a process that begins.
 * @throws StartError where the broker can't be reached; SettingsError for credentials that are none.
 */
export async function connectAtStart(options: BrokerOptions): Promise<Broker> {
  try {
    return await connectBroker(options);
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    // The address may hold a password.
    throw new StartError(
      `the broker at NATS_URL can not be reached: ${error instanceof Error ? error.message : error}`,
    );
  }
}
