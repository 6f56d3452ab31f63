import { runService } from '#kit/service-process.ts';
import { notifications, notificationsSettings } from './notifications.ts';

await runService('notifications', notifications, notificationsSettings);
