import { runService } from '#kit/service-process.ts';
import { blankSlate } from './blank-slate.ts';

await runService('blank-slate', blankSlate);
