import type { WorkerOptions } from '@temporalio/worker';

/** All workers of ours are one deployment: a version is complete when runner, vault and projection of it poll. */
const DEPLOYMENT_NAME = 'mana-missions';

/**
 * What `BUILD_ID` makes of a worker: one version of a deployment, which gets tasks when an operator says so (docs/operations.md, Upgrades).
 * Workflows do not say themselves which of the two they are: the server refuses such a word of a worker without a version.
 *
 * @param buildId null: the worker has no version, and gets tasks as soon as it polls
 * @param workflows of this worker: `PINNED` end on the version they began on, `AUTO_UPGRADE` follow the current one
 */
export const workerVersion = (
  buildId: string | null,
  workflows: 'PINNED' | 'AUTO_UPGRADE',
): Pick<WorkerOptions, 'workerDeploymentOptions'> =>
  buildId === null
    ? {}
    : {
        workerDeploymentOptions: {
          version: { deploymentName: DEPLOYMENT_NAME, buildId },
          useWorkerVersioning: true,
          defaultVersioningBehavior: workflows,
        },
      };
