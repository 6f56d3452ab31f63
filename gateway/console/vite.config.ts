import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The console: one page, made from `gateway/console` into `gateway/console/dist`, which the gateway serves. */
export default defineConfig({
  root: here('.'),
  plugins: [react()],
  build: { outDir: here('dist'), emptyOutDir: true, target: 'es2023', modulePreload: { polyfill: false } },
});
