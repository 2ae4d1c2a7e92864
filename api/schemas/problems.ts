interface Problem {
  /** JSON pointer to the field. */
  readonly instancePath: string;
  readonly message?: string | undefined;
}

const PROBLEMS_TOLD = 3;

/**
 * What is wrong with a request, for its sender: where, what was found and what is allowed. It quotes nothing: our
 * schemas drop unknown fields, so a path holds names of ours and positions only.
 */
export function describeProblems(where: string | undefined, problems: readonly Problem[]): string {
  const told = problems.slice(0, PROBLEMS_TOLD).map(({ instancePath, message = 'cannot be read' }) => {
    const path = [where ?? 'request', ...instancePath.split('/').filter((part) => part !== '')].join('.');
    return `${path}: ${message}`;
  });
  const untold = problems.length - told.length;
  return [...told, ...(untold > 0 ? [`and ${untold} more`] : [])].join('; ');
}
