import { type Histogram, metrics } from '@opentelemetry/api';

/** Buckets for what takes milliseconds, in seconds. */
const SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

/** Instruments are made on first use, because the provider may be registered after this file is loaded. */
function once<Instrument>(make: () => Instrument): () => Instrument {
  let made: Instrument | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

function seconds(name: string, description: string): () => Histogram {
  return once(() =>
    metrics.getMeter('causeway').createHistogram(name, { unit: 's', description, advice: { explicitBucketBoundaries: SECONDS } }),
  );
}

const calls = seconds('rpc.server.call.duration', 'How long calls take, by method and code');

/** Attribute objects are kept: making them anew for each record costs more than recording. */
const attributes = new Map<string, Record<string, string>>();

function attributesOf(key: string, make: () => Record<string, string>): Record<string, string> {
  let known = attributes.get(key);
  if (known === undefined) {
    known = make();
    attributes.set(key, known);
  }
  return known;
}

export function recordCall(method: string, code: string, durationMs: number): void {
  const labels = attributesOf(`call ${method} ${code}`, () => ({ 'rpc.method': method, 'rpc.response.status_code': code }));
  calls().record(durationMs / 1_000, labels);
}
