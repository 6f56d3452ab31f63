import type { Broker } from '#kit/broker.ts';
import { connectAtStart } from '#kit/broker-at-start.ts';
import type { PlatformSettings } from '#kit/platform-settings.ts';
import { SettingsError } from '#kit/settings.ts';

/**
 * Does something at the platform's broker.
 * @throws SettingsError without its address; StartError where it can't be reached.
 */
export async function atBroker<Result>(
  {
    natsUrl,
    natsCreds,
    streamReplicas = 1,
    journalMaxBytes,
  }: Pick<PlatformSettings, 'natsUrl' | 'natsCreds'> & Partial<PlatformSettings>,
  run: (broker: Broker) => Promise<Result>,
): Promise<Result> {
  if (natsUrl === undefined)
    throw new SettingsError("NATS_URL must be set: the platform's broker; `npm start` prints where its own is");
  const broker = await connectAtStart({
    url: natsUrl,
    credentials: natsCreds,
    name: 'causeway-cli',
    replicas: streamReplicas,
    journalMaxBytes,
  });
  try {
    return await run(broker);
  } finally {
    await broker.close();
  }
}
