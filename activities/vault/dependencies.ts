import type { KekRing } from '#crypto/unwrap-master-key.ts';
import type { Database } from '#db/client.ts';

/** What the vault worker's activity works with; made once in `worker.ts`. */
export interface VaultDependencies {
  /** The change log and schema mana_ai. */
  readonly syncDatabase: Database;
  /** mana-auth's vault. */
  readonly authDatabase: Database;
  readonly keks: KekRing;
  /** Whether v1 grants run (`GRANT_ACCEPT_V1`). */
  readonly acceptV1: boolean;
}
