import { runService } from '#kit/service-process.ts';
import { operations, operationsSettings } from './operations.ts';

await runService('operations', operations, operationsSettings);
