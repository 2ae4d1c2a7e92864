import { DefaultFailureConverter } from '@temporalio/common';

/**
 * Moves messages and stack traces of failures into a payload, which the codec encrypts: otherwise they stand in clear
 * on the Temporal server. The workflow sandbox loads this file by its path and wants this very name.
 */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
