import { Command, Option } from 'commander';
import { Severity } from '#gen/causeway/operations/v1/flow_pb.js';
import { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import type { Finding } from '#kit/installation/finding.ts';
import { type PlatformSettings, platformSettings } from '#kit/platform-settings.ts';
import { StartError } from '#kit/process.ts';
import { readSettings } from '#kit/settings.ts';
import { asOperator, type CallingOptions, calling, oneAnswer } from './gateway-client.ts';
import { counted, print, table, tell } from './printing.ts';

type DoctorOptions = CallingOptions & { all: boolean; nats?: string };

const severities: Record<Severity, Finding['severity']> = {
  [Severity.UNSPECIFIED]: 'unknown',
  [Severity.OK]: 'ok',
  [Severity.UNKNOWN]: 'unknown',
  [Severity.WARNING]: 'warning',
  [Severity.PROBLEM]: 'problem',
};

/** `doctor`: what is wrong with the installation, and what to do. */
export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description('look for what is known to go wrong with an installation, and say what to do')
    .option('--all', 'also what is as it should be', false)
    .addOption(new Option('--nats <url>', 'the broker, asked by itself where the gateway is away').env('NATS_URL'))
    .addHelpText('after', '\nIt exits with 1 where there is a problem. See docs/operating.md.')
    .action((options: DoctorOptions) => doctor(options));
  return calling(command, '', '--all', '--json');
}

async function doctor(options: DoctorOptions): Promise<void> {
  const findings = await diagnosis(options);
  const shown = options.all || options.json ? findings : findings.filter(({ severity }) => severity !== 'ok');
  if (options.json) for (const finding of shown) print(JSON.stringify(finding));
  else if (shown.length > 0) print(findingsTable(shown));
  const count = (severity: Finding['severity']) => findings.filter((each) => each.severity === severity).length;
  tell(
    `${counted(count('problem'), 'problem')}, ${counted(count('warning'), 'warning')}, ${count('unknown')} unknown, ${count('ok')} ok`,
  );
  if (count('problem') > 0) process.exitCode = 1;
}

function findingsTable(findings: readonly Finding[]): string {
  const rows = findings.map(({ severity, check, subject, message, remedy }) => [
    [severity, check, subject, message],
    ['', '', '', remedy === '' ? '' : `-> ${remedy}`],
  ]);
  const isSaid = (row: readonly string[]) => row.some((cell) => cell !== '');
  return table(['severity', 'check', 'about', 'what, and what to do'], rows.flat().filter(isSaid));
}

/** Of the operations service; where it can't be asked, of the broker alone. */
async function diagnosis(options: DoctorOptions): Promise<Finding[]> {
  try {
    const { findings } = await asOperator(OperationsService, options, (client) => client.diagnose({}, oneAnswer));
    return findings.map(({ severity, check, subject, message, remedy }) => ({
      severity: severities[severity],
      check,
      subject,
      message,
      remedy,
    }));
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    if (options.nats === undefined) {
      throw new StartError(`${error.message}; with NATS_URL, the broker can be asked by itself`);
    }
    tell(`${error.message}: the broker is asked by itself`);
    return [awayFinding(error), ...(await diagnosisAtBroker(options.nats))];
  }
}

function awayFinding(error: Error): Finding {
  const remedy = 'Start the gateway and the operations service. What follows is what the broker knows.';
  return { check: 'gateway', severity: 'problem', subject: '', message: error.message, remedy };
}

async function diagnosisAtBroker(nats: string): Promise<Finding[]> {
  const settings: PlatformSettings = readSettings(platformSettings, { ...process.env, NATS_URL: nats });
  // These take longer to load than everything that other commands need.
  const [{ atBroker }, { confirmedLook }, { diagnose }] = await Promise.all([
    import('./broker.ts'),
    import('#kit/installation/look.ts'),
    import('#kit/installation/diagnosis.ts'),
  ]);
  const clock = () => new Date();
  const { environment, natsMonitorUrl } = settings;
  const circumstances = { isProduction: environment === 'production', natsMonitorUrl, clock };
  return atBroker(settings, async (broker) => diagnose(broker, await confirmedLook(broker, clock), circumstances));
}
