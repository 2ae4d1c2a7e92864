-- The API revokes at once (DELETE …/ai-mission-grant/:missionId): the mission's grants, and what was sealed under them.
-- Deleting needs to name rows, never to read what they hold.
grant select (user_id, mission_id), delete on mana_ai.sealed_inputs to mana_missions_api;

-- A v1 grant that another service minted stands in no log before its first use, so its revocation needs a row of its own:
-- whatever was issued for the mission until then opens nothing.
create table mana_ai.mission_revocations (
  user_id text not null check (user_id <> ''),
  mission_id text not null,
  revoked_at timestamptz not null default clock_timestamp(),
  primary key (user_id, mission_id)
);
alter table mana_ai.mission_revocations enable row level security;
alter table mana_ai.mission_revocations force row level security;
create policy own_rows on mana_ai.mission_revocations
  using (user_id = current_setting('app.current_user_id', true))
  with check (user_id = current_setting('app.current_user_id', true));
grant select, insert on mana_ai.mission_revocations to mana_missions_api;
grant update (revoked_at) on mana_ai.mission_revocations to mana_missions_api;
grant select on mana_ai.mission_revocations to mana_missions_vault;

-- A changed time zone makes the mission's schedule pending again.
grant update (version) on mana_ai.mission_snapshots to mana_missions_api;
