import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { BUILT_FROM } from './console-sources.ts';

type Encoding = 'br' | 'gzip';
type Body = { bytes: Buffer; etag: string };
/** A file in each form that it can be sent in. */
type ServedFile = { plain: Body; br?: Body; gzip?: Body; type: string; caching: string };
type Build = { builtAt: number; files: ReadonlyMap<string, ServedFile>; page: ServedFile };

export type ConsoleFilesOptions = {
  /** Address of a trace, with `{trace_id}`; undefined where traces can't be looked at. */
  traceUrl: string | undefined;
  /** What is to be known where the page has not been built. */
  whyAbsent?: (() => string) | undefined;
};

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
};

/** Vite puts a hash of the content into the names of what is in here. */
const HASHED = '/assets/';
const FOR_EVER = 'public, max-age=31536000, immutable';
/** Kept, and asked for each time whether it is still the same. */
const ASK = 'no-cache';

/** The page runs its own files, talks to this gateway, and is nobody's frame. */
const SECURITY = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
};

/**
 * The console's page as it was built into a folder, from memory: a few hundred kilobytes, of which no request can
 * ask for another file of the machine, and which a build that is under way does not pull from under a reader. A new
 * build is seen with the next request of a page.
 */
export class ConsoleFiles {
  readonly #folder: string;
  readonly #options: ConsoleFilesOptions;
  #build: Build | undefined;
  #looking: Promise<void> | undefined;

  constructor(folder: string, options: ConsoleFilesOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  /** Answers a request for the page, whatever path it has in it, or for one of its files. @returns whether it did. */
  async serve(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    if (request.method !== 'GET' && request.method !== 'HEAD') return false;
    const path = (request.url ?? '').split('?')[0] ?? '';
    const isPage = asksForPage(path, request.headers.accept);
    if (isPage || this.#build === undefined) await this.#look();
    const file = isPage ? this.#build?.page : this.#build?.files.get(path);
    if (file !== undefined) send(request, response, file);
    else if (isPage) sendAbsence(request, response, this.#options.whyAbsent?.() ?? 'It has not been built here.');
    return isPage || file !== undefined;
  }

  /** Reads the folder where it was not read before, or has been built again since. */
  async #look(): Promise<void> {
    this.#looking ??= this.#read().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  async #read(): Promise<void> {
    try {
      const { mtimeMs } = await stat(join(this.#folder, BUILT_FROM));
      if (mtimeMs === this.#build?.builtAt) return;
      const files = await readAll(this.#folder);
      const page = pageWith(await readFile(join(this.#folder, 'index.html'), 'utf8'), this.#options.traceUrl);
      this.#build = { builtAt: mtimeMs, files, page };
    } catch {
      // It is not there, or is being put there: what was read before is whole.
    }
  }
}

/**
 * The page has many paths, and it is for the page to say which. What has a hash in its name is never the page, nor
 * what was not asked for by a browser that shows it to somebody: `/` alone is served to all.
 */
function asksForPage(path: string, accept = ''): boolean {
  if (path === '/' || path === '/index.html') return true;
  return accept.includes('text/html') && !path.startsWith(HASHED) && isPlain(path) && extname(path) !== '.map';
}

/** Whether a path means itself, and nothing outside. */
function isPlain(path: string): boolean {
  try {
    const decoded = decodeURIComponent(path);
    return path.startsWith('/') && !path.startsWith('//') && !/\\|(^|\/)\.\.?(\/|$)|\p{Cc}/u.test(decoded);
  } catch {
    return false;
  }
}

async function readAll(folder: string): Promise<Map<string, ServedFile>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const read = new Map<string, Buffer>();
  for (const { parentPath, name } of entries.filter((entry) => entry.isFile())) {
    const path = join(parentPath, name);
    read.set(path.slice(folder.length).replaceAll('\\', '/'), await readFile(path));
  }
  const files = new Map<string, ServedFile>();
  for (const [path, bytes] of read) {
    const type = TYPES[extname(path)];
    if (type === undefined || path === '/index.html') continue;
    const caching = path.startsWith(HASHED) ? FOR_EVER : ASK;
    files.set(path, served(bytes, { type, caching, br: read.get(`${path}.br`), gzip: read.get(`${path}.gz`) }));
  }
  return files;
}

function pageWith(html: string, traceUrl: string | undefined): ServedFile {
  const told = traceUrl === undefined ? '' : `<meta name="trace-url" content="${escaped(traceUrl)}" />`;
  const bytes = Buffer.from(html.replace('</head>', () => `${told}</head>`));
  return served(bytes, {
    type: 'text/html; charset=utf-8',
    caching: ASK,
    br: brotliCompressSync(bytes),
    gzip: gzipSync(bytes),
  });
}

type Forms = { type: string; caching: string; br: Buffer | undefined; gzip: Buffer | undefined };

function served(plain: Buffer, { type, caching, br, gzip }: Forms): ServedFile {
  // A strong etag is of the bytes that are sent, so each form has its own.
  const hash = createHash('sha256').update(plain).digest('base64url').slice(0, 22);
  return {
    plain: { bytes: plain, etag: `"${hash}"` },
    ...(br === undefined ? {} : { br: { bytes: br, etag: `"${hash}-br"` } }),
    ...(gzip === undefined ? {} : { gzip: { bytes: gzip, etag: `"${hash}-gzip"` } }),
    type,
    caching,
  };
}

function send(request: IncomingMessage, response: ServerResponse, file: ServedFile): void {
  const encoding = (['br', 'gzip'] as const).find((each) => file[each] !== undefined && accepts(request, each));
  const { bytes, etag } = (encoding === undefined ? undefined : file[encoding]) ?? file.plain;
  const headers = { ...SECURITY, etag, vary: 'accept, accept-encoding', 'cache-control': file.caching };
  if (hasAlready(request.headers['if-none-match'], etag)) {
    response.writeHead(304, headers);
    response.end();
    return;
  }
  response.writeHead(200, {
    ...headers,
    'content-type': file.type,
    'content-length': bytes.length,
    ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

function accepts({ headers }: IncomingMessage, encoding: Encoding): boolean {
  const offered = String(headers['accept-encoding'] ?? '').split(',');
  return offered.some((each) => {
    const [name = '', quality = ''] = each.split(';').map((part) => part.trim().toLowerCase());
    return name === encoding && !/^q=0(\.0*)?$/.test(quality);
  });
}

function hasAlready(held: string | undefined, etag: string): boolean {
  return held?.split(',').some((each) => ['*', etag, `W/${etag}`].includes(each.trim())) ?? false;
}

function sendAbsence(request: IncomingMessage, response: ServerResponse, why: string): void {
  const bytes = Buffer.from(
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Causeway</title></head><body>` +
      `<h1>The console is not there</h1><p>${escaped(why)}</p>` +
      `<p><code>npm run console</code> builds it. Everything else works without.</p></body></html>\n`,
  );
  response.writeHead(503, {
    ...SECURITY,
    'content-type': 'text/html; charset=utf-8',
    'content-length': bytes.length,
    'cache-control': 'no-store',
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
