import type { Broker } from '../broker.ts';
import { readDescriptions, type ServiceDescription } from '../service-descriptions.ts';
import { brokerChecks } from './checks/broker-checks.ts';
import { consumerChecks } from './checks/consumer-checks.ts';
import { deadLetterChecks } from './checks/dead-letter-checks.ts';
import { serviceChecks } from './checks/service-checks.ts';
import { streamChecks } from './checks/stream-checks.ts';
import { type Finding, type Found, worstFirst } from './finding.ts';
import { type InstallationLook, soon } from './look.ts';

/** What is known of the installation beside what can be looked at. */
export type Circumstances = {
  isProduction: boolean;
  /** The broker's monitoring, such as `http://127.0.0.1:8222`; left out: it can't be asked. */
  natsMonitorUrl?: string | undefined;
  clock(): Date;
};

/** What a check may look at. What could not be had is undefined. */
export type Evidence = InstallationLook &
  Circumstances & {
    broker: Broker;
    descriptions: ServiceDescription[] | undefined;
  };

/** Looks for one thing that can be wrong. */
export type Check = {
  name: string;
  /** Where nothing is wrong, in words. */
  ok: string;
  /** What is wrong; undefined where what has to be looked at could not be had. */
  look(evidence: Evidence): Found[] | undefined | Promise<Found[] | undefined>;
};

const CHECK_WITHIN_MS = 5_000;

/** The checks of every installation. */
const checks: readonly Check[] = [
  ...serviceChecks,
  ...streamChecks,
  ...consumerChecks,
  ...deadLetterChecks,
  ...brokerChecks,
];

/**
 * What all checks find, the worst first. One that fails keeps no other from its work.
 * @param more checks of an installation that has more to look at.
 */
export async function diagnose(
  broker: Broker,
  look: InstallationLook,
  circumstances: Circumstances,
  more: readonly Check[] = [],
): Promise<Finding[]> {
  const descriptions = await soon('descriptions', readDescriptions(broker));
  const evidence = { ...look, ...circumstances, broker, descriptions: descriptions.found };
  const found = await Promise.all([...checks, ...more].map((check) => carryOut(check, evidence)));
  return worstFirst(found.flat());
}

async function carryOut(check: Check, evidence: Evidence): Promise<Finding[]> {
  const looking = (async () => check.look(evidence))();
  const { found, why } = await soon(check.name, looking, CHECK_WITHIN_MS);
  const unknown = why ?? evidence.missing.join('; ');
  if (found === undefined)
    return [{ check: check.name, severity: 'unknown', subject: '', message: unknown, remedy: '' }];
  if (found.length === 0) return [{ check: check.name, severity: 'ok', subject: '', message: check.ok, remedy: '' }];
  return found.map((each) => ({ check: check.name, ...each }));
}
