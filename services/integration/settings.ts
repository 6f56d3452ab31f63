import { platformSettings } from '#kit/platform-settings.ts';
import { flag, type SettingValues } from '#kit/settings.ts';

/** Where webhooks may go. */
export const integrationSettings = {
  environment: platformSettings.environment,
  webhookPrivateTargets: flag(
    'WEBHOOK_PRIVATE_TARGETS',
    undefined,
    'whether webhooks may go to `http://`, this machine and private networks, too',
    '`true`, in production `false`',
  ),
};

export type IntegrationSettings = SettingValues<typeof integrationSettings>;
