import { setTimeout as delay } from 'node:timers/promises';
import { CallError } from './errors.ts';
import type { ViewBuilds } from './view-builds.ts';
import { countMessages } from './view-heads.ts';
import { type BuildEntry, freeSlot, slotOf, type ViewRegister } from './view-register.ts';
import { sweepViews } from './view-sweep.ts';
import { isBeing, requireBuild } from './view-switch.ts';

/** Every process has left a build by then, unless it sleeps: such a one removes what it wrote when it wakes. */
const LEFT_AFTER_LEASES = 1.5;

/**
 * Begins the next build beside what readers see. What they saw before it, and could have gone back to, is discarded.
 * @param act what the request is known by: the same one again does nothing.
 * @throws CallError FAILED_PRECONDITION where a build is under way already.
 */
export async function rebuild<Document extends object>(
  builds: ViewBuilds<Document>,
  { act, by, switchWhenCaughtUp }: { act: string; by: string; switchWhenCaughtUp: boolean },
): Promise<void> {
  const total = await countMessages(builds.parts.broker, builds.view, builds.counter);
  await builds.change((now) => {
    if (now.acts.includes(act)) return undefined;
    if (now.active === null || now.building !== null) throw isBeing(builds, 'built already');
    if (now.switchingTo !== null) throw isBeing(builds, `switched to build ${now.switchingTo}`);
    const next = {
      build: now.next,
      slot: freeSlot(now),
      startedAt: new Date(),
      startedBy: by,
      switchWhenCaughtUp,
      total,
      caughtUp: false,
    };
    return { building: next, next: now.next + 1, ...(now.previous === null ? {} : leaving(now, now.previous)) };
  }, act);
  void sweepLeft(builds).catch((error) => {
    builds.parts.logger.warn({ err: error, view: builds.view.name }, 'something of a discarded build may be left');
  });
}

/**
 * Gives up a build that readers do not see; what it has is removed.
 * @throws CallError FAILED_PRECONDITION where readers see it, or are about to; NOT_FOUND where there is none.
 */
export async function discard<Document extends object>(
  builds: ViewBuilds<Document>,
  { act, build }: { act: string; build: number },
): Promise<void> {
  await builds.change((now) => {
    if (now.acts.includes(act)) return undefined;
    requireBuild(builds, now, build);
    if (now.switchingTo !== null) throw isBeing(builds, `switched to build ${now.switchingTo}`);
    if (now.active?.build === build) {
      throw new CallError('FAILED_PRECONDITION', `build ${build} of ${builds.view.name} is what readers see`, {
        reason: 'BUILD_ACTIVE',
        metadata: { build: String(build) },
      });
    }
    return now.previous?.build === build ? leaving(now, now.previous) : leaving(now, now.building);
  }, act);
  await sweepLeft(builds);
}

/** The change of a register that a build goes from which readers do not see. */
function leaving({ building }: ViewRegister, left: BuildEntry | null): Partial<ViewRegister> {
  const leftSlot = left === null ? {} : { leftSlot: slotOf(left) };
  return left?.build === building?.build ? { building: null, ...leftSlot } : { previous: null, ...leftSlot };
}

/** Removes what is left of builds that the register has no more, once nobody follows them. */
async function sweepLeft<Document extends object>(builds: ViewBuilds<Document>): Promise<void> {
  await delay(builds.times.leaseMs * LEFT_AFTER_LEASES);
  await sweepViews(builds.parts, builds.view, () => builds.known.fresh());
}
