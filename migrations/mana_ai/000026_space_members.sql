-- What each user's rows of a mission say in a shared space, as far as it counts for the missions of other members: state, deletion,
-- times, and how far steps have come. Derived from the log by the projection; no text, and no more of a record than that.
create table mana_ai.space_writes (
  user_id text not null check (user_id <> ''),
  mission_id text not null,
  space_id text not null check (space_id <> ''),
  merge_state jsonb not null,
  -- Of the array of iterations; null where there is none, and where it is too large.
  outline jsonb,
  first_seen_at timestamptz not null default clock_timestamp(),
  primary key (user_id, mission_id, space_id)
);
create index space_writes_of_mission on mana_ai.space_writes (mission_id, space_id, first_seen_at, user_id);
-- The space that a user's mission is in, as the newest of that user's own rows with one names it.
alter table mana_ai.mission_snapshots
  add column space_id text,
  -- When its iterations may have been overwritten in the space: its healing reads what is committed here, so it is started afterwards.
  add column heal_at timestamptz;
create index mission_snapshots_to_heal on mana_ai.mission_snapshots (heal_at) where heal_at is not null;
create index mission_snapshots_in_spaces on mana_ai.mission_snapshots (mission_id, space_id) where space_id is not null;

alter table mana_ai.space_writes enable row level security;
alter table mana_ai.space_writes force row level security;
create policy own_rows on mana_ai.space_writes
  using (user_id = current_setting('app.current_user_id', true))
  with check (user_id = current_setting('app.current_user_id', true));
grant select, insert, update on mana_ai.space_writes to mana_missions_projection;
create policy projection_sees_all on mana_ai.space_writes to mana_missions_projection using (true) with check (true);
-- A user's run sees what others wrote about the same record in the space that the user's own rows put it in, and nothing else of
-- theirs. A space that others made up is not that space.
grant select (user_id, mission_id, space_id, merge_state, outline, first_seen_at) on mana_ai.space_writes to mana_missions_runner;
grant select (space_id) on mana_ai.mission_snapshots to mana_missions_runner;
create policy members_of_own_missions on mana_ai.space_writes for select to mana_missions_runner using (
  exists (select from mana_ai.mission_snapshots own
    where own.user_id = current_setting('app.current_user_id', true)
      and own.mission_id = space_writes.mission_id and own.space_id = space_writes.space_id)
);
