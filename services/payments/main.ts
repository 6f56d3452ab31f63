import { runService } from '#kit/service-process.ts';
import { payments, paymentsSettings } from './payments.ts';

await runService('payments', payments, paymentsSettings);
