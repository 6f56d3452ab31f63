import { runService } from '#kit/service-process.ts';
import { operations } from './operations.ts';

await runService('operations', operations);
