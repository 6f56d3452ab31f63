import type { Msg } from '@nats-io/transport-node';
import type { Broker } from './broker.ts';
import { CallError } from './errors.ts';
import { answerRequests, askFor } from './requests.ts';
import { readDescriptions } from './service-descriptions.ts';
import { discard, rebuild } from './view-acts.ts';
import type { ViewBuilds } from './view-builds.ts';
import { type Comparison, compareBuilds } from './view-compare.ts';
import { type ViewStatus, ViewStatuses } from './view-status.ts';
import type { ViewSwitch } from './view-switch.ts';

/** What any process of a service is asked about its views. `act` is what a request is known by: done once. */
export type ViewRequest =
  | { command: 'list' }
  | { command: 'rebuild'; view: string; act: string; by: string; switchWhenCaughtUp: boolean }
  | { command: 'switch'; view: string; act: string; build: number }
  | { command: 'discard'; view: string; act: string; build: number }
  | { command: 'compare'; view: string; build: number };

export type ViewAnswer = { views: ViewStatus[] } | { comparison: Comparison };

/** A view of this process, to be looked after. */
export type Administered = {
  readonly view: { readonly name: string };
  answer(request: ViewRequest, told: (progress: unknown) => void, left: AbortSignal): Promise<Comparison | undefined>;
  status(): Promise<ViewStatus>;
};

/** Requests that a process has at hand. */
const MAX_REQUESTS = 16;
const COMMANDS = new Set(['list', 'rebuild', 'switch', 'discard', 'compare']);

function subjectFor(service: string): string {
  return `views.${service}`;
}

/** Does what operators ask of a view. */
export class ViewAdministration<Document extends object> implements Administered {
  readonly view: { readonly name: string };
  readonly #builds: ViewBuilds<Document>;
  readonly #switch: ViewSwitch<Document>;
  readonly #statuses: ViewStatuses<Document>;

  constructor(builds: ViewBuilds<Document>, viewSwitch: ViewSwitch<Document>) {
    this.view = builds.view;
    this.#builds = builds;
    this.#switch = viewSwitch;
    this.#statuses = new ViewStatuses(builds);
  }

  status(): Promise<ViewStatus> {
    return this.#statuses.status();
  }

  async answer(
    request: ViewRequest,
    told: (progress: unknown) => void,
    left: AbortSignal,
  ): Promise<Comparison | undefined> {
    switch (request.command) {
      case 'list':
        return undefined;
      case 'rebuild':
        await rebuild(this.#builds, request);
        return undefined;
      case 'switch':
        // What was announced is gone through with, whether somebody waits or not.
        await this.#switch.switchTo(request.build, request.act, new AbortController().signal);
        return undefined;
      case 'discard':
        await discard(this.#builds, request);
        return undefined;
      case 'compare':
        return compareBuilds(this.#builds, request.build, told, left);
      default:
        return request satisfies never;
    }
  }
}

/** Answers what is asked about the views of a service, until the returned function is called. */
export function answerAboutViews(broker: Broker, service: string, views: readonly Administered[]): () => void {
  if (views.length === 0) return () => {};
  return answerRequests<ViewRequest, ViewAnswer>(broker, subjectFor(service), {
    queue: 'views',
    most: MAX_REQUESTS,
    busy: `a process of ${service} has too much to do`,
    read: requestFrom,
    async answer(request, told, left) {
      if (request.command === 'list') return { views: await Promise.all(views.map((view) => view.status())) };
      const view = views.find((each) => each.view.name === request.view);
      if (view === undefined) {
        throw unknownView(service, request.view);
      }
      const comparison = await view.answer(request, told, left);
      return comparison === undefined ? { views: [await view.status()] } : { comparison };
    },
  });
}

/** @throws CallError INVALID_ARGUMENT: anybody may send anything to a subject. */
function requestFrom(message: Msg): ViewRequest {
  try {
    const request = message.json<ViewRequest>();
    if (COMMANDS.has(request.command)) return request;
  } catch {
    // Then it is none.
  }
  throw new CallError('INVALID_ARGUMENT', 'no request about views');
}

/** Says that there is none of this name, or no such service. */
export function unknownView(service: string, view: string): CallError {
  return new CallError('NOT_FOUND', `${service} has no view ${view}`, {
    reason: 'VIEW_UNKNOWN',
    metadata: { service, view },
  });
}

/** Services that have views, with the views' names, whether they run or not. @throws UnavailableError where the broker is away. */
export async function servicesWithViews(broker: Broker): Promise<Map<string, string[]>> {
  const described = await readDescriptions(broker);
  const found = described.map(({ service, consumers }) => {
    const projections = consumers.filter(({ kind }) => kind === 'projection');
    return [service, projections.map(({ name }) => name.slice(`${service}-`.length).replace(/_v\d+$/, ''))] as const;
  });
  return new Map(found.filter(([, views]) => views.length > 0));
}

/**
 * Asks any process of a service about its views.
 * @throws UnavailableError where no process of the service is there, or none answers.
 * @throws CallError as the service says; CANCELLED when the signal aborts: what was begun may go on.
 */
export function askAboutViews(
  broker: Broker,
  service: string,
  request: ViewRequest,
  {
    signal,
    silenceMs,
    onProgress,
  }: { signal?: AbortSignal; silenceMs?: number; onProgress?(comparison: Comparison): void } = {},
): Promise<ViewAnswer> {
  return askFor<ViewAnswer, Comparison>(broker, subjectFor(service), request, {
    signal,
    nobody: `no process of ${service} runs`,
    silent: `${service} does not answer`,
    ...(silenceMs === undefined ? {} : { silenceMs }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
}
