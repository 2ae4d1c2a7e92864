-- Every table holds rows of users and is read and written under row-level security: see 000003_rights.sql.

-- The mint log: which grants exist, for which scope, and whether they were revoked. Never a key.
create table mana_ai.mission_grants (
  user_id text not null check (user_id <> ''),
  -- SHA-256 over the text of `wrappedKey` as the web app stores it.
  wrapped_key_sha256 bytea not null check (octet_length(wrapped_key_sha256) = 32),
  mission_id text not null,
  version text not null check (version in ('v1', 'v2')),
  tables text[] not null,
  record_ids text[] not null,
  -- First 8 bytes, in hex, of the SHA-256 of the public key that wraps; null for a grant minted elsewhere.
  key_id text,
  origin text not null check (origin in ('minted', 'foreign')),
  issued_at timestamptz not null,
  expires_at timestamptz not null,
  revoked_at timestamptz,
  -- The agent that the mission named when the grant was first used: a later one is not in its scope.
  first_used_at timestamptz,
  pinned_agent_id text,
  created_at timestamptz not null default clock_timestamp(),
  primary key (user_id, wrapped_key_sha256)
);
create index mission_grants_mission on mana_ai.mission_grants (user_id, mission_id, issued_at);

-- Contract section 8. Other services insert with plain column lists, so every further column has a default.
create table mana_ai.decrypt_audit (
  id bigserial primary key,
  user_id text not null check (user_id <> ''),
  mission_id text not null,
  iteration_id text,
  table_name text not null,
  record_id text not null,
  status text not null check (status in ('ok', 'failed', 'scope-violation')),
  reason text,
  ts timestamptz not null default clock_timestamp()
);
create index decrypt_audit_user on mana_ai.decrypt_audit (user_id, id desc);
create index decrypt_audit_mission on mana_ai.decrypt_audit (user_id, mission_id, id desc);

-- Records re-encrypted from the master key to the mission data key, for one run. No audit row, no sealed row.
create table mana_ai.sealed_inputs (
  user_id text not null check (user_id <> ''),
  run_id text not null,
  table_name text not null,
  record_id text not null,
  mission_id text not null,
  sealed bytea not null,
  audit_id bigint not null references mana_ai.decrypt_audit (id),
  sealed_at timestamptz not null default clock_timestamp(),
  primary key (user_id, run_id, table_name, record_id)
);

-- Replies of the gateway, encrypted, kept until the iteration is written: a crash repeats at most the round in flight.
create table mana_ai.run_transcripts (
  user_id text not null check (user_id <> ''),
  iteration_id text not null,
  round integer not null check (round >= 1),
  mission_id text not null,
  entry bytea not null,
  stored_at timestamptz not null default clock_timestamp(),
  primary key (user_id, iteration_id, round)
);

-- Per-run keys of missions without a grant, wrapped under the payload codec's primary key.
create table mana_ai.run_keys (
  user_id text not null check (user_id <> ''),
  iteration_id text not null,
  mission_id text not null,
  wrapped_key bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (user_id, iteration_id)
);

-- Who runs a mission now. One row a mission is the mission's lock; counting rows of an agent limits its missions. Rows
-- never expire: who finds one asks Temporal whether that run is still open, and takes over by compare-and-set.
create table mana_ai.run_slots (
  user_id text not null check (user_id <> ''),
  mission_id text not null,
  agent_id text,
  workflow_id text not null,
  run_id text not null,
  iteration_id text not null,
  claimed_at timestamptz not null default clock_timestamp(),
  primary key (user_id, mission_id)
);
create index run_slots_agent on mana_ai.run_slots (user_id, agent_id);

-- Tokens by round. The reply of a round is paid for once, so it is counted once.
create table mana_ai.token_usage (
  user_id text not null check (user_id <> ''),
  iteration_id text not null,
  round integer not null check (round >= 1),
  mission_id text not null,
  agent_id text,
  prompt_tokens integer not null,
  completion_tokens integer not null,
  total_tokens integer not null,
  resolved_model text,
  recorded_at timestamptz not null default clock_timestamp(),
  primary key (user_id, iteration_id, round)
);
create index token_usage_agent on mana_ai.token_usage (user_id, agent_id, recorded_at);

-- The time zone that the web app named in a grant or schedule request (IANA).
create table mana_ai.mission_time_zones (
  user_id text not null check (user_id <> ''),
  mission_id text not null,
  time_zone text not null,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (user_id, mission_id)
);

-- What the projection knows of a mission: scheduling fields only, never a title or a text.
create table mana_ai.mission_snapshots (
  user_id text not null check (user_id <> ''),
  mission_id text not null,
  exists_now boolean not null,
  state text,
  cadence jsonb,
  next_run_at timestamptz,
  agent_id text,
  grant_expires_at timestamptz,
  -- Raised by every change; `applied_version` is the one that Temporal has seen. Unequal = still to be done.
  version bigint not null default 1,
  applied_version bigint not null default 0,
  -- The schedule that Temporal has: {cadence, nextRunAtMs, timeZone}, or null for none.
  applied_schedule jsonb,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (user_id, mission_id)
);
create index mission_snapshots_pending on mana_ai.mission_snapshots (updated_at) where version <> applied_version;

-- How far the projection has read the change log. One row; whoever holds its lock projects.
create table mana_ai.projection_cursor (
  only_row boolean primary key default true check (only_row),
  read_until timestamptz not null default '-infinity',
  read_back_30_minutes_at timestamptz not null default '-infinity',
  read_back_25_hours_at timestamptz not null default '-infinity'
);
insert into mana_ai.projection_cursor default values;

-- Ids of rows already merged, kept as long as the longest read-back.
create table mana_ai.projected_changes (
  change_id uuid primary key,
  created_at timestamptz not null
);
create index projected_changes_created_at on mana_ai.projected_changes (created_at);
