import type { Broker } from '../broker.ts';
import { readDescriptions, type ServiceDescription } from '../service-descriptions.ts';
import { consumerChecks } from './checks/consumers.ts';
import { type Finding, worstFirst } from './finding.ts';
import { type InstallationLook, soon } from './look.ts';

/** What a check may look at. What could not be had is undefined: then the check answers that it is unknown. */
export type Evidence = InstallationLook & {
  broker: Broker;
  descriptions: ServiceDescription[] | undefined;
};

/** Looks for one thing that can be wrong. It answers with what is wrong, or that all is as it should be. */
export type Check = {
  name: string;
  look(evidence: Evidence): Finding[] | Promise<Finding[]>;
};

const CHECK_WITHIN_MS = 5_000;

/** The checks of every installation; a service may have others of its own. */
const checks: readonly Check[] = [...consumerChecks];

/** What all checks find, the worst first. One that fails keeps no other from its work. */
export async function diagnose(
  broker: Broker,
  look: InstallationLook,
  more: readonly Check[] = [],
): Promise<Finding[]> {
  const descriptions = await soon('descriptions', readDescriptions(broker));
  const evidence = { ...look, broker, descriptions: descriptions.found };
  const found = await Promise.all(
    [...checks, ...more].map(async (check) => {
      const { found: findings, why } = await soon(check.name, (async () => check.look(evidence))(), CHECK_WITHIN_MS);
      if (findings !== undefined) return findings;
      return [{ check: check.name, severity: 'unknown', subject: '', message: why, remedy: '' } satisfies Finding];
    }),
  );
  return worstFirst(found.flat());
}
