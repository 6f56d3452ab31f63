import { isConsoleBuilt } from '../../gateway/console-sources.ts';
import { buildConsole } from '../../gateway/console-start.ts';

/** Before the first test in a browser: the page that the gateway serves is made from the sources as they are. */
export default async function setUp(): Promise<() => void> {
  const building = buildConsole(() => {});
  await building.done;
  if (!(await isConsoleBuilt())) throw new Error(`the console is not there: ${building.whyAbsent()}`);
  return building.stop;
}
