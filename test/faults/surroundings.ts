import { inject } from 'vitest';
import { SERVICE_KEY, type MissionSystem } from '#test/support/mission-system.ts';
import type { Surroundings } from '#test/support/worker-process.ts';
import { workflowBundlePath } from '#test/support/workflow-bundle.ts';

/** Lets processes of their own join a system of the test: the same databases, namespace and keys. */
export const surroundingsOf = async (system: MissionSystem): Promise<Surroundings> => ({
  databases: system.databases,
  temporal: { address: inject('temporalAddress'), namespace: system.namespace },
  keys: system.keys,
  gateway: { url: system.gateway.url, serviceKey: SERVICE_KEY },
  issuerUrl: system.issuer.url,
  workflowBundlePath: await workflowBundlePath(),
  logDirectory: inject('serverLogDirectory'),
});
