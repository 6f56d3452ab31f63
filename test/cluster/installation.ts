import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { writeSecretFiles } from '../../gateway/cli/secret-files.ts';
import { services } from '../../gateway/services.ts';
import type { imageNames } from './images.ts';
import { type Kubectl, output } from './kubectl.ts';

const DEPLOY = join(import.meta.dirname, '../../deploy');
/** What the test overlay calls them. */
const OVERLAY_IMAGES = 'localhost:5000';
const START_TIMEOUT = '300s';
const GONE_MS = 120_000;

export const serviceNames = Object.keys(services);
export const deploymentNames = [...serviceNames, 'gateway'];

/** The platform in a namespace of its own, and the secrets that it was made with. */
export class Installation {
  readonly kubectl: Kubectl;
  readonly #directory: string;

  /** @param directory of this run alone: it will hold secrets. */
  constructor(kubectl: Kubectl, directory: string) {
    this.kubectl = kubectl;
    this.#directory = join(directory, 'deploy');
  }

  /** Puts the test overlay into the namespace, with secrets of its own. */
  async apply(nameOf: (image: (typeof imageNames)[number]) => string): Promise<void> {
    await cp(DEPLOY, this.#directory, { recursive: true });
    const test = join(this.#directory, 'overlays/test');
    await rm(join(test, 'secrets'), { recursive: true, force: true });
    await writeSecretFiles(join(test, 'secrets'), { services: serviceNames, mongodbUsers: false });
    const overlay = join(this.#directory, 'overlays/run');
    await mkdir(overlay);
    await writeFile(join(overlay, 'kustomization.yaml'), stringify(this.#kustomization(nameOf)));
    await this.kubectl.run(['apply', '--filename', '-'], await output('kubectl', ['kustomize', overlay]));
  }

  #kustomization(nameOf: (image: (typeof imageNames)[number]) => string) {
    const images = (['causeway', 'causeway-broker', 'causeway-database'] as const).map((image) => {
      const [, newName, newTag] = /^(.*):([^:/]+)$/.exec(nameOf(image)) ?? [];
      return { name: `${OVERLAY_IMAGES}/${image}`, newName, newTag };
    });
    return {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      namespace: this.kubectl.namespace,
      resources: ['../test'],
      images,
      // The first process of a container can't be killed from within it: here it is not the first.
      patches: [
        {
          target: { kind: 'StatefulSet' },
          patch: '[{"op": "add", "path": "/spec/template/spec/shareProcessNamespace", "value": true}]',
        },
      ],
    };
  }

  /** Secret that tokens are checked with. */
  authSecret(): Promise<string> {
    return readFile(join(this.#directory, 'overlays/test/secrets/keys/auth-secret'), 'utf8').then((text) =>
      text.trim(),
    );
  }

  /** File of the operator's user at the broker. */
  get operatorKey(): string {
    return join(this.#directory, 'overlays/test/secrets/operator/nats.nk');
  }

  /** Resolves once every pod is ready. */
  async ready(): Promise<void> {
    for (const name of [
      'statefulset/mongodb',
      'statefulset/nats',
      ...deploymentNames.map((each) => `deployment/${each}`),
    ]) {
      await this.kubectl.run(['rollout', 'status', name, '--timeout', START_TIMEOUT]);
    }
  }

  /** Resolves once a deployment is as it is declared. */
  async rolled(name: string): Promise<void> {
    await this.kubectl.run(['rollout', 'status', `deployment/${name}`, '--timeout', START_TIMEOUT]);
  }

  /** Resolves once nothing that was told to go is there any more. */
  async settled(): Promise<void> {
    await this.ready();
    const latest = performance.now() + GONE_MS;
    while ((await this.#leaving()).length > 0) {
      if (performance.now() > latest) throw new Error(`still there: ${(await this.#leaving()).join(', ')}`);
      await delay(500);
    }
  }

  async #leaving(): Promise<string[]> {
    const { items } = await this.kubectl.json<PodList>('get', 'pods');
    return items
      .filter(({ metadata }) => metadata.deletionTimestamp !== undefined)
      .map(({ metadata }) => metadata.name);
  }

  /** How often a container of a deployment ended by itself, by pod: nobody was told to do that. */
  async restarts(): Promise<string[]> {
    const { items } = await this.kubectl.json<PodList>('get', 'pods');
    return items
      .filter(({ metadata }) => deploymentNames.includes(metadata.labels['app.kubernetes.io/name'] ?? ''))
      .flatMap(({ metadata, status }) =>
        (status.containerStatuses ?? [])
          .filter(({ restartCount }) => restartCount > 0)
          .map(({ restartCount }) => `${metadata.name} (${restartCount})`),
      );
  }

  /** Kills the main process of a stateful set's pod by a command in it, and waits for its next life. */
  async killProcess(name: string, command: readonly string[]): Promise<void> {
    const pod = `${name}-0`;
    const before = await this.#startedAt(pod);
    // The connection may end with what it ended.
    const said = await this.kubectl.run(['exec', pod, '--', ...command]).catch(String);
    const latest = performance.now() + GONE_MS;
    for (let now = before; now === before || now === undefined; now = await this.#startedAt(pod)) {
      if (performance.now() > latest) throw new Error(`${pod} was not killed: ${said}`);
      await delay(200);
    }
    await this.ready();
  }

  async #startedAt(pod: string): Promise<string | undefined> {
    const { status } = await this.kubectl.json<Pod>('get', 'pod', pod);
    return status.containerStatuses?.[0]?.state.running?.startedAt;
  }

  async remove(): Promise<void> {
    await this.kubectl.run(['delete', 'namespace', this.kubectl.namespace, '--wait=false']);
  }
}

type Pod = {
  metadata: { name: string; labels: Record<string, string>; deletionTimestamp?: string };
  status: { containerStatuses?: { restartCount: number; state: { running?: { startedAt: string } } }[] };
};
type PodList = { items: Pod[] };

/** The registry that the cluster says images can be pushed to (KEP 1755); undefined where it names none. */
export async function announcedRegistry(kubectl: Kubectl): Promise<string | undefined> {
  try {
    const { data } = await kubectl.json<{ data: Record<string, string> }>(
      ...['get', 'configmap', 'local-registry-hosting', '--namespace', 'kube-public'],
    );
    return (parse(data['localRegistryHosting.v1'] ?? '') as { host?: string } | null)?.host;
  } catch {
    return undefined;
  }
}
