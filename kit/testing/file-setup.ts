import { afterAll } from 'vitest';
import { endFile } from './at-the-end.ts';

// Here, before the test file is collected: a hook may ask for servers too, and can't add another hook.
afterAll(endFile);
