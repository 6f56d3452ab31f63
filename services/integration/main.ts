import { runService } from '#kit/service-process.ts';
import { integration } from './integration.ts';

await runService('integration', integration);
