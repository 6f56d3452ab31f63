import { runService } from '#kit/service-process.ts';
import { inventory } from './inventory.ts';

await runService('inventory', inventory);
