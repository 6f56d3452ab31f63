/**
 * Adds the example of an event type to the golden corpus: `npm run golden -- TYPE KEY 'JSON' ['note']`, where
 * JSON is what the event says. Never changes what is there.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type GoldenExample, goldenTypes, takeExample } from './corpus.ts';

const [typeName, key, json, note = 'as first published'] = process.argv.slice(2);
if (typeName === undefined || key === undefined || json === undefined) {
  process.stderr.write("usage: npm run golden -- TYPE KEY 'JSON' ['note']\n");
  process.exit(2);
}
const file = new URL(`./events/${typeName}.json`, import.meta.url);
const before: GoldenExample[] = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : [];
const examples = [...before, takeExample(goldenTypes.type(typeName), JSON.parse(json), key, note)];
writeFileSync(file, `${JSON.stringify(examples, undefined, 2)}\n`);
