import { execFile } from 'node:child_process';

/** What the registry knows of the packages that are installed; whoever can't ask it knows nothing. */
export type Weaknesses = { found: string[] } | { unknownBecause: string };

type Report = {
  message?: string;
  vulnerabilities?: Record<string, { severity: string; via: (string | { title: string; url: string })[] }>;
};

/** Asks for the packages of the lock file in this directory. @param options further ones for npm. */
export async function knownWeaknesses(directory: string, options: readonly string[] = []): Promise<Weaknesses> {
  const { vulnerabilities, message = 'npm audit answers nothing' } = await auditIn(directory, options);
  // Without the address: what it is here is of no use to who reads it elsewhere.
  if (vulnerabilities === undefined) return { unknownBecause: message.replace(/ - .*| https?:\S+/g, '') };
  return {
    found: Object.entries(vulnerabilities).map(([name, { severity, via }]) => {
      const why = via.map((each) => (typeof each === 'string' ? `by ${each}` : `${each.title} (${each.url})`));
      return `${name}, ${severity}: ${why.join('; ')}`;
    }),
  };
}

function auditIn(directory: string, options: readonly string[]): Promise<Report> {
  const words = ['audit', '--json', '--package-lock-only', '--fetch-retries=0', '--fetch-timeout=15000', ...options];
  return new Promise((resolve) => {
    // It ends with 1 where it has found something, and where it could not ask.
    execFile('npm', words, { cwd: directory, timeout: 60_000 }, (_error, stdout) => {
      try {
        resolve(JSON.parse(stdout));
      } catch {
        resolve({});
      }
    });
  });
}
