import { runService } from '#kit/service-process.ts';
import { analytics } from './analytics.ts';

await runService('analytics', analytics);
