import { runService } from '#kit/service-process.ts';
import { shipping, shippingSettings } from './shipping.ts';

await runService('shipping', shipping, shippingSettings);
