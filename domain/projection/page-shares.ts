/** A row of the log before it is read: whose it is, and how much it may hold. */
export interface RowHead {
  readonly id: string;
  readonly userId: string;
  /** ISO 8601 with microseconds. */
  readonly createdAt: string;
  /** Estimated from what is stored. */
  readonly bytes: number;
}

/** What one row may hold to be read at all. */
export const MAX_ROW_BYTES = 8_000_000;
/** What the rows of a page may hold together; a page has one row in any case. */
const MAX_PAGE_BYTES = 8_000_000;
/** What the rows of one user in a page may hold together; one is read in any case. */
const MAX_USER_BYTES = 1_000_000;
/** Of a full page: who has as many rows in it may have as many behind it. */
const LARGE_SHARE = 0.5;

/** What is read of a page. */
export interface PageShares<Head extends RowHead> {
  /** In the order of the log. */
  readonly taken: readonly Head[];
  /** Too large to be read at all: they count as read. */
  readonly tooLarge: readonly Head[];
  /** Users of whom no more is read with everybody's rows, by the last row of theirs that is. */
  readonly backlogs: ReadonlyMap<string, Head>;
  /** The last row that was looked at, if there may be rows behind it. */
  readonly end: Head | null;
}

/**
 * Which rows of a page are read. Large rows of one user wait for that user's own turn, and so do the further rows of who
 * fills a page: all others are read as if those were not there.
 *
 * @param heads new rows in the order of the log
 * @param isFull there may be more behind them
 */
export function pageShares<Head extends RowHead>(heads: readonly Head[], isFull: boolean): PageShares<Head> {
  const taken: Head[] = [];
  const tooLarge: Head[] = [];
  const backlogs = new Map<string, Head>();
  const users = new Map<string, { rows: number; bytes: number; last: Head }>();
  let pageBytes = 0;
  let end = isFull ? (heads.at(-1) ?? null) : null;
  for (const [index, head] of heads.entries()) {
    if (backlogs.has(head.userId)) continue;
    const user = users.get(head.userId);
    const bytes = head.bytes > MAX_ROW_BYTES ? 0 : head.bytes;
    if (user !== undefined && user.bytes > 0 && user.bytes + bytes > MAX_USER_BYTES) {
      backlogs.set(head.userId, user.last);
      continue;
    }
    if (pageBytes > 0 && pageBytes + bytes > MAX_PAGE_BYTES) {
      end = heads[index - 1] ?? null;
      break;
    }
    users.set(head.userId, {
      rows: (user?.rows ?? 0) + 1,
      bytes: (user?.bytes ?? 0) + bytes,
      last: head,
    });
    pageBytes += bytes;
    (head.bytes > MAX_ROW_BYTES ? tooLarge : taken).push(head);
  }
  if (end !== null) {
    for (const [userId, { rows, last }] of users) {
      if (rows >= heads.length * LARGE_SHARE && !backlogs.has(userId)) backlogs.set(userId, last);
    }
  }
  return { taken, tooLarge, backlogs, end };
}

/** Which rows of one user's turn are read. */
export function turnShares<Head extends RowHead>(
  heads: readonly Head[],
  isFull: boolean,
): Omit<PageShares<Head>, 'backlogs'> {
  const taken: Head[] = [];
  const tooLarge: Head[] = [];
  let bytes = 0;
  for (const [index, head] of heads.entries()) {
    if (head.bytes > MAX_ROW_BYTES) {
      tooLarge.push(head);
      continue;
    }
    if (bytes > 0 && bytes + head.bytes > MAX_USER_BYTES)
      return { taken, tooLarge, end: heads[index - 1] ?? null };
    bytes += head.bytes;
    taken.push(head);
  }
  return { taken, tooLarge, end: isFull ? (heads.at(-1) ?? null) : null };
}
