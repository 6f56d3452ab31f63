import { onTestFinished, TestRunner } from 'vitest';

const closing: (() => Promise<void>)[] = [];

/** After the test that calls, or after its whole file where no test runs. To be called before anything is awaited. */
export function atTheEnd(close: () => Promise<void>): void {
  if (TestRunner.getCurrentTest() === undefined) closing.push(close);
  else onTestFinished(close);
}

/** Ends what the file's tests have left to its end, the latest first. */
export async function endFile(): Promise<void> {
  for (const close of closing.splice(0).reverse()) await close();
}
