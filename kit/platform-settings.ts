import { hash } from 'node:crypto';
import { DEVELOPMENT_KEY, type IdentitySettings } from './rpc/identity.ts';
import {
  choice,
  duration,
  file,
  flag,
  integer,
  key,
  SettingsError,
  type SettingValues,
  secret,
  share,
  size,
  text,
  url,
} from './settings.ts';
import { logLevels } from './telemetry/logging.ts';

/** What every process of the platform is told by its environment. */
export const platformSettings = {
  environment: choice(
    'NODE_ENV',
    ['development', 'test', 'production'],
    'development',
    'in `production` nothing starts with a development key, and there is no sample data',
  ),
  natsUrl: url('NATS_URL', ['nats', 'tls', 'ws', 'wss'], 'broker; several addresses separated by commas', 'embedded'),
  natsCreds: file(
    'NATS_CREDS',
    "file with the user at the broker: a JWT and its seed (`.creds`), or an nkey's seed (`SU...`)",
  ),
  natsMonitorUrl: url(
    'NATS_MONITOR_URL',
    ['http', 'https'],
    "the broker's monitoring, where `doctor` asks whether it syncs to disk",
    'that of the embedded broker',
  ),
  streamReplicas: integer('STREAM_REPLICAS', 1, 'replicas of each stream; 3 on a cluster of brokers', {
    min: 1,
    max: 5,
  }),
  journalMaxBytes: size(
    'JOURNAL_MAX_BYTES',
    '8GiB',
    'size at which each journal refuses more: `KiB`, `MiB`, `GiB` or `TiB`; one that has more room is left as it is',
  ),
  mongodbUri: url('MONGODB_URI', ['mongodb', 'mongodb+srv'], 'database of the views', 'embedded'),
  authJwksUrl: url('AUTH_JWKS_URL', ['https', 'http'], 'where the keys are that tokens are checked with'),
  authSecret: secret(
    'AUTH_SECRET',
    'or the secret that tokens are checked with (HS256); in production at least 32 bytes',
    'a development key',
  ),
  authIssuer: text('AUTH_ISSUER', undefined, 'issuer (`iss`) that a token must name', 'any'),
  authAudience: text('AUTH_AUDIENCE', undefined, 'audience (`aud`) that a token must name', 'any'),
  personalDataKey: key(
    'PERSONAL_DATA_KEY',
    "master key that wraps customers' keys: 32 bytes in base64 or hexadecimal",
    'a development key',
  ),
  otlpEndpoint: url(
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    ['http', 'https'],
    'where traces and metrics go, by OTLP over HTTP; unset: traces are not recorded, and `/metrics` is there all the same',
  ),
  metricsExporter: choice(
    'OTEL_METRICS_EXPORTER',
    ['otlp', 'none'],
    'otlp',
    'whether metrics go to that receiver too; `none` where Prometheus reads `/metrics`',
  ),
  traceRatio: share('OTEL_TRACES_SAMPLER_ARG', 1, 'share of the traces begun here that are recorded'),
  drainDelayMs: duration(
    'DRAIN_DELAY',
    '0s',
    'how long a process that is told to stop goes on, and says that it is not ready: until nobody comes any more',
  ),
  logLevel: choice('LOG_LEVEL', logLevels, 'info', 'least level that is logged, as JSON lines on stderr'),
  sampleData: flag(
    'SAMPLE_DATA',
    undefined,
    'whether a first start fills the catalogue with sample items',
    '`true`, in production `false`',
  ),
};

export type PlatformSettings = SettingValues<typeof platformSettings>;

/** HS256 is as strong as its secret: as long as the hash, and no shorter (RFC 7518, 3.2). */
const MIN_SECRET_BYTES = 32;

/**
 * How tokens are checked. The development key is for development only.
 * @throws SettingsError in production, where neither AUTH_JWKS_URL nor AUTH_SECRET is set, or the secret is too short;
 *   anywhere, where both are.
 */
export function identitySettings({
  environment,
  authJwksUrl,
  authSecret,
  authIssuer: issuer,
  authAudience: audience,
}: PlatformSettings): IdentitySettings {
  if (authJwksUrl !== undefined && authSecret !== undefined) {
    throw new SettingsError('AUTH_JWKS_URL and AUTH_SECRET are both set; only one of them can be used');
  }
  if (authJwksUrl !== undefined) return { jwksUrl: authJwksUrl, issuer, audience };
  if (environment === 'production') {
    if (authSecret === undefined || authSecret === DEVELOPMENT_KEY) {
      throw new SettingsError(
        'AUTH_JWKS_URL or AUTH_SECRET must be set: production does not start with a development key',
      );
    }
    if (Buffer.byteLength(authSecret) < MIN_SECRET_BYTES) {
      throw new SettingsError(`AUTH_SECRET must have at least ${MIN_SECRET_BYTES} bytes in production`);
    }
  }
  return { secret: authSecret ?? DEVELOPMENT_KEY, issuer, audience };
}

/** The master key of personal data. @throws SettingsError in production, where PERSONAL_DATA_KEY is not set. */
export function masterKey({ environment, personalDataKey }: PlatformSettings): Buffer {
  if (personalDataKey === undefined && environment === 'production') {
    throw new SettingsError('PERSONAL_DATA_KEY must be set: production does not start with a development key');
  }
  return personalDataKey ?? hash('sha256', 'causeway development master key, known to everybody', 'buffer');
}

export function hasSampleData({ environment, sampleData }: PlatformSettings): boolean {
  return sampleData ?? environment !== 'production';
}
