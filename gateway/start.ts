/** `npm start`: the whole platform in one process, on embedded servers where there are no others. */
import { parseArgs } from 'node:util';
import { startMongodb } from '#kit/local/mongodb.ts';
import { startNats } from '#kit/local/nats.ts';
import { runProcess, StartError, type Started } from '#kit/process.ts';
import { readSettings } from '#kit/settings.ts';
import { createLogger } from '#kit/telemetry/logging.ts';
import { startTelemetry } from '#kit/telemetry/setup.ts';
import { buildConsole } from './console-start.ts';
import { takeDataDirectory } from './data-directory.ts';
import { keepRunning, type StartServer } from './embedded.ts';
import { allSettings, checkSettings, type Servers, startPlatform } from './platform.ts';
import { welcome } from './welcome.ts';

const HELP = `The whole platform in one process.

npm start               on the data that is there
npm start -- --fresh    throws the data of the embedded servers away first
npm start -- --help     this text

Settings are taken from the environment; the README lists them.
`;

type Options = { fresh: boolean; help: boolean };

await runProcess(async (started) => {
  const { fresh, help } = options();
  if (help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const settings = readSettings(allSettings, process.env);
  checkSettings(settings);
  const telemetry = startTelemetry({ serviceName: 'causeway', ...settings });
  started.add('telemetry', telemetry.stop);
  const page = buildConsole(say);
  started.add('the building of the console', page.stop);
  const servers = await startServers(settings, fresh, started);
  const ports = await startPlatform(settings, servers, telemetry, started, createLogger, page.whyAbsent);
  await page.done;
  const logger = createLogger('causeway', settings.logLevel);
  logger.info(ports, 'the platform is running');
  started.add('the log', () => logger.info({}, 'the platform stops'));
  process.stdout.write(await welcome(settings, ports));
});

function options(): Options {
  try {
    const { values } = parseArgs({ options: { fresh: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
    return { fresh: values.fresh ?? false, help: values.help ?? false };
  } catch (error) {
    throw new StartError(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
  }
}

type ServerSettings = { natsUrl: string | undefined; mongodbUri: string | undefined; dataDirectory: string };

async function startServers(settings: ServerSettings, fresh: boolean, started: Started): Promise<Servers> {
  const { natsUrl, mongodbUri, dataDirectory } = settings;
  if (natsUrl !== undefined && mongodbUri !== undefined) {
    if (fresh) throw new StartError('--fresh throws away the data of embedded servers, and there are none');
    say('broker', 'at NATS_URL');
    say('database', 'at MONGODB_URI');
    return { natsUrl, mongodbUri };
  }
  const directory = await takeDataDirectory(dataDirectory);
  started.add('the data directory', directory.release);
  let natsMonitorUrl: string | undefined;
  const embed = async (what: string, given: string | undefined, setting: string, start: StartServer) => {
    if (given !== undefined) {
      say(what, `at ${setting}`);
      return given;
    }
    const { url, choice } = await keepRunning(what, start, started);
    say(what, `${url}, ${choice}`);
    return url;
  };
  const [nats, mongodb] = await Promise.all([
    embed('broker', natsUrl, 'NATS_URL', async (again) => {
      const monitorPort = natsMonitorUrl === undefined ? -1 : Number(new URL(natsMonitorUrl).port);
      const server = await startNats({ directory: directory.nats, fresh, ...again, monitorPort });
      natsMonitorUrl ??= server.monitorUrl;
      return server;
    }),
    embed('database', mongodbUri, 'MONGODB_URI', (again) =>
      startMongodb({ directory: directory.mongodb, fresh, ...again }),
    ),
  ]);
  return { natsUrl: nats, mongodbUri: mongodb, natsMonitorUrl };
}

function say(what: string, choice: string): void {
  process.stdout.write(`${what.padEnd(10)}${choice}\n`);
}
