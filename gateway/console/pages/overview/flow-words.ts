import { type ServiceState, ServiceStatus } from '#gen/causeway/operations/v1/flow_pb.js';
import { shortCount } from './figures.ts';
import type { ConsumerNode } from './flow-graph.ts';

export function serviceWord(state: ServiceState | undefined): string {
  switch (state?.status) {
    case ServiceStatus.UP:
      return 'up';
    case ServiceStatus.TROUBLED:
      return 'troubled';
    case ServiceStatus.AWAY:
      return 'away';
    default:
      return 'not known';
  }
}

/** A message or two are always under way. */
const WORTH_SAYING = 5;

/** The worst of a consumer in a word or two; empty where there is nothing to be said. */
export function consumerSign({ trouble, parked, retrying, redelivered, lag, rate, standing }: ConsumerNode): string {
  if (parked > 0) return `! ${shortCount(parked)} parked`;
  if (trouble !== '') return '! stands still';
  if (retrying.length > 0) return `↻ ${retrying.length} tried again`;
  if (redelivered > 0) return '↻ given again';
  if (standing === 'behind') return `lag ${shortCount(lag)} ▲`;
  return lag >= Math.max(WORTH_SAYING, rate) ? `lag ${shortCount(lag)}` : '';
}
