import { oneOf, type Random } from '../chaos/random.ts';

const segment = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const claims = { sub: 'fuzz', role: 'operator', exp: 4_000_000_000 };

const AUTHORIZATIONS = [
  'Bearer',
  'Bearer ',
  'bearer x',
  'Bearer x.y.z',
  'Bearer ..',
  'Bearer e30.e30.',
  'Basic dXNlcjpwYXNz',
  'Bearer {customer} {operator}',
  '{customer}',
  `Bearer ${segment({ alg: 'none' })}.${segment(claims)}.`,
  `Bearer ${segment({ alg: 'HS256' })}.${segment(claims)}.AAAA`,
  `Bearer ${segment({ alg: 'HS512' })}.${segment(claims)}.AAAA`,
  `Bearer ${segment({ alg: 'RS256', kid: '../../x' })}.${segment(claims)}.AAAA`,
  `Bearer ${segment({ alg: 'HS256', crit: ['x'], x: 1 })}.${segment(claims)}.AAAA`,
  `Bearer ${segment({ alg: 'HS256', b64: false, crit: ['b64'] })}.x.AAAA`,
  `Bearer ${segment({ alg: ['HS256'] })}.${segment([])}.AAAA`,
  `Bearer ${segment(null)}.${segment(null)}.AAAA`,
  `Bearer ${segment({ alg: 'dir', enc: 'A256GCM' })}....`,
  `Bearer ${'a'.repeat(6_000)}`,
];

const HEADERS: [string, readonly string[]][] = [
  ['authorization', AUTHORIZATIONS],
  ['authorization', AUTHORIZATIONS],
  [
    'traceparent',
    [
      '',
      '00',
      '00-0-0-0',
      `00-${'0'.repeat(32)}-${'0'.repeat(16)}-01`,
      `ff-${'a'.repeat(32)}-${'b'.repeat(16)}-ff-x`,
      `00-${'g'.repeat(32)}-${'b'.repeat(16)}-01`,
    ],
  ],
  ['tracestate', ['=', ',,,', 'a=b,'.repeat(600), 'x'.repeat(5_000)]],
  ['baggage', ['a=b', '%ff=%ff', 'a='.repeat(2_000)]],
  ['x-correlation-id', ['', ' ', 'a'.repeat(129), 'a b', '\u00e9', '{"$gt":""}', '*.>']],
  ['x-request-id', ['a'.repeat(4_000)]],
  [
    'grpc-timeout',
    ['', '0S', '0n', '1n', '-1S', '1', 'S', '99999999H', '999999999H', '1.5S', '1m', '1e3m', 'xS', '1X'],
  ],
  ['connect-timeout-ms', ['', '0', '1', '-1', '1.5', '99999999999', '9999999999', 'x', '1e3', '0x10', 'NaN']],
  ['connect-protocol-version', ['', '0', '2', '1, 1', 'x']],
  ['grpc-encoding', ['gzip', 'identity', 'deflate', 'br', 'snappy', '', 'gzip,gzip', '__proto__']],
  ['grpc-accept-encoding', ['', 'gzip', 'br,*', 'x'.repeat(3_000), '__proto__']],
  ['connect-content-encoding', ['gzip', 'br', 'x', '']],
  ['connect-accept-encoding', ['gzip', 'br', '__proto__', '']],
  ['content-encoding', ['gzip', 'br', 'deflate', 'x', 'identity', 'gzip, gzip']],
  ['accept-encoding', ['gzip', 'br;q=2', '*;q=0', '']],
  [
    'content-type',
    [
      '',
      'text/plain',
      'application/grpc+json',
      'application/grpc+',
      'application/grpc-web-text',
      'application/json; charset=utf-16',
      'application/json;charset="',
      'application/proto; a=b',
      'application/connect+x',
      'APPLICATION/JSON',
      '*/*',
      'multipart/form-data; boundary=',
      '/',
    ],
  ],
  ['te', ['', 'trailers, deflate', 'gzip']],
  ['accept', ['', 'text/html', 'x/y;q=z']],
  ['origin', ['null', 'http://evil.example', '*']],
  ['host', ['', 'evil.example:99999', '[::1', 'a b']],
  ['cookie', ['a=b; '.repeat(500)]],
  ['user-agent', ['', '\u00e9', '%s%n']],
  ['some-bin', ['!!!!', 'AAA', 'AA==,AA==', '']],
  ['grpc-status-details-bin', ['AAAA', '!!']],
  ['grpc-status', ['0', '13']],
  ['grpc-message', ['%', '%zz']],
  ['x-forwarded-for', ['127.0.0.1', '`id`']],
  ['expect', ['200-ok', '100-continue']],
  ['range', ['bytes=0-', 'bytes=-1', 'bytes=9-1']],
  ['if-none-match', ['*', '"x"']],
  ['content-length', ['0', '1', '5']],
  ['x-large', ['x'.repeat(7_000)]],
];

/** Headers that somebody has played with. */
export function mutatedHeaders(headers: Record<string, string>, random: Random): Record<string, string> {
  const changed = { ...headers };
  for (let changes = 1 + Math.floor(random() * 3); changes > 0; changes--) {
    const [name, values] = oneOf(random, HEADERS);
    if (random() < 0.1) delete changed[name];
    else changed[name] = oneOf(random, values);
  }
  if (random() < 0.03) for (let more = 0; more < 300; more++) changed[`x-many-${more}`] = 'y';
  return changed;
}
