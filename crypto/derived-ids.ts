import { v5 as uuidV5 } from 'uuid';
import { toIterationId, type IterationId } from '#domain/base/ids.ts';

/**
 * Ids that a repeated attempt finds again, which is what makes writing exactly once possible (docs/architecture.md section 4).
 * They are names, not secrets. Changing the namespace or a prefix would make every run under way write twice.
 */
const NAMESPACE = '4b718e5a-1241-4948-8b2d-1f852e284333';

/** The kind is part of the name: an event of iteration X can never have the id of iteration Y. */
const derivedId = (kind: string, ...parts: readonly (string | number)[]): string =>
  uuidV5(JSON.stringify([kind, ...parts]), NAMESPACE);

/** @param dueKey names user, mission and occasion: the due instant, or the workflow id of a run started by hand */
export const iterationIdOf = (dueKey: string): IterationId => toIterationId(derivedId('iteration', dueKey));

/** The id of the one change row that writes an iteration back. */
export const eventIdOf = (iterationId: IterationId): string => derivedId('event', iterationId);

/** The id of the one change row that claims an iteration's instant before it is planned. */
export const claimEventIdOf = (iterationId: IterationId): string => derivedId('claim', iterationId);

/** The `Idempotency-Key` of a run's one deep research task. */
export const researchIdempotencyKey = (iterationId: IterationId): string =>
  derivedId('research', iterationId);

/** The id of the one change row that heals what the given row overwrote. */
export const healEventIdOf = (overwritingRowId: string): string => derivedId('heal', overwritingRowId);
