import { runService } from '#kit/service-process.ts';
import { integration, integrationSettings } from './integration.ts';

await runService('integration', integration, integrationSettings);
