import { runService } from '#kit/service-process.ts';
import { fulfilment, fulfilmentSettings } from './fulfilment.ts';

await runService('fulfilment', fulfilment, fulfilmentSettings);
