import { randomUUID } from 'node:crypto';
import { create, type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf';
import type { OperationsService } from '#gen/causeway/operations/v1/operations_service_pb.js';
import {
  DiscardProjectionBuildRequestSchema,
  DiscardProjectionBuildResponseSchema,
  ListProjectionsResponseSchema,
  type ProjectionState,
  RebuildProjectionRequestSchema,
  RebuildProjectionResponseSchema,
  SwitchProjectionRequestSchema,
  SwitchProjectionResponseSchema,
} from '#gen/causeway/operations/v1/projections_pb.js';
import type { CommandRequest, CommandResult } from '#kit/decider.ts';
import { UnavailableError } from '#kit/errors.ts';
import type { Call } from '#kit/rpc/call.ts';
import type { Implementation } from '#kit/rpc/door.ts';
import { requireRole } from '#kit/rpc/identity.ts';
import type { Comparison } from '#kit/view-compare.ts';
import { unknownView, type ViewAnswer, type ViewRequest } from '#kit/view-requests.ts';
import type { ViewStatus } from '#kit/view-status.ts';
import type { Act, ActCommand } from '../domain/act.ts';
import { ProjectionActKind, type ProjectionActs, type RequestProjectionAct } from '../domain/projection-act.ts';
import { actIdFor } from './acts.ts';
import { comparisonMessage, projectionMessage } from './projection-messages.ts';

type ProjectionMethods = Pick<
  Implementation<typeof OperationsService>,
  'listProjections' | 'rebuildProjection' | 'switchProjection' | 'discardProjectionBuild' | 'compareProjection'
>;

/** A service that is not quick to say how its views are is left out of a list. */
const LIST_MS = 1_500;

type Asking = { signal?: AbortSignal; silenceMs?: number; onProgress?(comparison: Comparison): void };

export type ProjectionParts = {
  /** Services that have views, with the views' names, whether they run or not. */
  servicesWithViews(): Promise<Map<string, string[]>>;
  /** @throws UnavailableError where no process of the service is there. */
  askAboutViews(service: string, request: ViewRequest, asking?: Asking): Promise<ViewAnswer>;
  requestProjectionAct(request: CommandRequest<RequestProjectionAct>): Promise<CommandResult<ProjectionActs>>;
  noteRequest(request: CommandRequest<ActCommand>): Promise<CommandResult<Act>>;
};

type Chosen = { service: string; view: string; reason: string; requestId: string };

/** Views, and how they are built anew. */
export function projectionMethods(parts: ProjectionParts): ProjectionMethods {
  const { servicesWithViews, askAboutViews } = parts;

  async function listed(service: string): Promise<ProjectionState[] | undefined> {
    const signal = AbortSignal.timeout(LIST_MS);
    try {
      const answer = await askAboutViews(service, { command: 'list' }, { signal, silenceMs: LIST_MS });
      return viewsIn(answer).map((view) => projectionMessage(service, view));
    } catch {
      // Whatever keeps one from answering, the others are shown.
      return undefined;
    }
  }

  /** @throws CallError NOT_FOUND where nobody can answer since there is no such service, or view. */
  async function asked(service: string, view: string, request: ViewRequest, asking: Asking): Promise<ViewAnswer> {
    try {
      return await askAboutViews(service, request, asking);
    } catch (error) {
      const isAway = error instanceof UnavailableError;
      if (isAway && !(await servicesWithViews()).get(service)?.includes(view)) throw unknownView(service, view);
      throw error;
    }
  }

  /** Records what was asked for, then has it done; answers with how the view stands then. */
  async function act<Schema extends DescMessage>(
    call: Call,
    schema: Schema,
    request: MessageShape<Schema> & Chosen,
    what: Pick<RequestProjectionAct, 'act' | 'build' | 'switchWhenCaughtUp'>,
  ): Promise<ProjectionState> {
    requireRole(call, 'operator');
    const { service, view, reason, requestId } = request;
    // Nothing is recorded of a view that there is not, and no request id is used up.
    requireView(viewsIn(await asked(service, view, { command: 'list' }, { signal: call.signal })), service, view);
    const key = `${service}-${view}`;
    const wanted = {
      caller: call.caller.subject,
      requestId,
      content: Buffer.concat([Buffer.from(schema.typeName), toBinary(schema, { ...request, requestId: '' })]),
      correlationId: call.correlationId,
      causationId: requestId === '' ? randomUUID() : requestId,
    };
    if (requestId !== '') {
      const command = { type: 'UseRequestId', orderId: key } as const;
      await parts.noteRequest({ ...wanted, key: actIdFor({ call, requestId }), creates: true, command });
    }
    const command: RequestProjectionAct = { type: 'RequestProjectionAct', service, view, reason, ...what };
    const { version } = await parts.requestProjectionAct({ ...wanted, key, command });
    const known = { view, act: `${key}.${version}` };
    const answer = await askAboutViews(service, viewRequest(known, what, call.caller.subject), { signal: call.signal });
    return projectionMessage(service, requireView(viewsIn(answer), service, view));
  }

  return {
    async listProjections(_, call) {
      requireRole(call, 'operator');
      const services = [...(await servicesWithViews()).keys()];
      const found = await Promise.all(services.map(listed));
      return create(ListProjectionsResponseSchema, {
        projections: found.flatMap((views) => views ?? []),
        unreachableServices: services.filter((_service, index) => found[index] === undefined),
      });
    },

    async rebuildProjection(request, call) {
      const { rebuild } = ProjectionActKind;
      const { switchWhenCaughtUp } = request;
      const what = { act: rebuild, build: 0, switchWhenCaughtUp };
      const projection = await act(call, RebuildProjectionRequestSchema, request, what);
      return create(RebuildProjectionResponseSchema, { projection });
    },

    async switchProjection(request, call) {
      const what = { act: ProjectionActKind.switch, build: request.build, switchWhenCaughtUp: false };
      const projection = await act(call, SwitchProjectionRequestSchema, request, what);
      return create(SwitchProjectionResponseSchema, { projection });
    },

    async discardProjectionBuild(request, call) {
      const what = { act: ProjectionActKind.discard, build: request.build, switchWhenCaughtUp: false };
      const projection = await act(call, DiscardProjectionBuildRequestSchema, request, what);
      return create(DiscardProjectionBuildResponseSchema, { projection });
    },

    async *compareProjection({ service, view, build }, call) {
      requireRole(call, 'operator');
      const asking = (onProgress: (comparison: Comparison) => void) =>
        asked(service, view, { command: 'compare', view, build }, { signal: call.signal, onProgress });
      for await (const comparison of progressOf(asking)) yield comparisonMessage(comparison);
    },
  };
}

function viewRequest(
  known: { view: string; act: string },
  { act, build, switchWhenCaughtUp }: Pick<RequestProjectionAct, 'act' | 'build' | 'switchWhenCaughtUp'>,
  by: string,
): ViewRequest {
  switch (act) {
    case ProjectionActKind.rebuild:
      return { command: 'rebuild', ...known, by, switchWhenCaughtUp };
    case ProjectionActKind.switch:
      return { command: 'switch', ...known, build };
    case ProjectionActKind.discard:
      return { command: 'discard', ...known, build };
    default:
      return act satisfies never;
  }
}

function viewsIn(answer: ViewAnswer): ViewStatus[] {
  return 'views' in answer ? answer.views : [];
}

/** @throws CallError NOT_FOUND */
function requireView(views: readonly ViewStatus[], service: string, view: string): ViewStatus {
  const found = views.find((each) => each.view === view);
  if (found !== undefined) return found;
  throw unknownView(service, view);
}

/** The latest of what is told, as it is told, and the answer last. */
async function* progressOf(
  asking: (onProgress: (comparison: Comparison) => void) => Promise<ViewAnswer>,
): AsyncGenerator<Comparison> {
  let latest: Comparison | undefined;
  let wake = () => {};
  const told = (comparison: Comparison) => {
    latest = comparison;
    wake();
  };
  let answer: ViewAnswer | undefined;
  let failure: unknown;
  const ended = asking(told)
    .then((result) => {
      answer = result;
    })
    .catch((error) => {
      failure = error ?? new Error('it failed');
    })
    .finally(() => wake());
  while (answer === undefined && failure === undefined) {
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (latest !== undefined || answer !== undefined || failure !== undefined) resolve();
    });
    if (latest !== undefined) yield latest;
    latest = undefined;
  }
  await ended;
  if (failure !== undefined) throw failure;
  if (answer !== undefined && 'comparison' in answer) yield answer.comparison;
}
