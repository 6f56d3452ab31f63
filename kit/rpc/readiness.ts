import type { Health } from '../lifecycle.ts';
import { remembered } from '../remembered.ts';
import type { Logger } from '../telemetry/logging.ts';

/** Who waits until it is ready, or must not call while it is not, is told soon. */
const GOOD_MS = 200;

/**
 * Health as it is told to anybody: which parts are not ready, in plain words. Why, with what the libraries say of hosts
 * and ports, is for the log, once for each change. However many ask, the parts are asked five times a second.
 */
export function readiness(health: () => Promise<Health>, logger: Logger): () => Promise<Health> {
  let told = '';
  return remembered(async () => {
    const { ready, reasons: details } = await health().catch((error: unknown) => {
      logger.error({ err: error }, 'the health can not be told');
      return { ready: false, reasons: ['health: unknown'] };
    });
    const reasons = [...new Set(details.map(plain))];
    const words = reasons.join();
    if (words !== told && !ready) logger.warn({ reasons: details }, 'not ready');
    if (words !== told && ready) logger.info({}, 'ready again');
    told = words;
    return { ready, reasons };
  }, GOOD_MS);
}

/** A reason begins with the part that it is about: `journal ORDERS: ...`. */
function plain(reason: string): string {
  const [part] = /^[\w' -]{1,100}(?=:)/.exec(reason) ?? ['a part'];
  return `${part}: not ready`;
}
