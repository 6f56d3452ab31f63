import { platformSettings } from '#kit/platform-settings.ts';
import type { SettingValues } from '#kit/settings.ts';

/** What the diagnosis of an installation hangs on. */
export const operationsSettings = {
  environment: platformSettings.environment,
  natsMonitorUrl: platformSettings.natsMonitorUrl,
};

export type OperationsSettings = SettingValues<typeof operationsSettings>;
