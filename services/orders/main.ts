import { runService } from '#kit/service-process.ts';
import { orders } from './orders.ts';

await runService('orders', orders);
