/** What a check of the installation has found. */
export type Finding = {
  /** Which check, such as `stream-drift`. */
  check: string;
  /** `unknown`: it could not be looked at; the message says what is missing. */
  severity: 'ok' | 'unknown' | 'warning' | 'problem';
  /** What it is about: a stream, a consumer, a service. Empty: the installation. */
  subject: string;
  message: string;
  /** What to do; empty where there is nothing to do. */
  remedy: string;
};

/** What is found about one subject; the check's name is added by who runs it. */
export type Found = Omit<Finding, 'check'>;

const order: readonly Finding['severity'][] = ['problem', 'warning', 'unknown', 'ok'];

export function worstFirst(findings: readonly Finding[]): Finding[] {
  return findings.toSorted(
    (one, other) =>
      order.indexOf(one.severity) - order.indexOf(other.severity) ||
      one.check.localeCompare(other.check) ||
      one.subject.localeCompare(other.subject),
  );
}

export function isWrong({ severity }: Finding): boolean {
  return severity === 'problem' || severity === 'warning';
}
