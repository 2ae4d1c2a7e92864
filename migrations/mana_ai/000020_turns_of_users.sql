-- Users of whom a page of the log held more than their share: their further rows are read in turns of their own, behind
-- the last one that was taken in, so that the rows of all others do not wait for them.
create table mana_ai.projection_backlogs (
  user_id text primary key check (user_id <> ''),
  after_at timestamptz not null,
  after_id uuid not null,
  -- While the log is read for the first time, a mission without a snapshot may still exist.
  is_first_build boolean not null,
  turn_at timestamptz not null default clock_timestamp()
);
alter table mana_ai.projection_backlogs enable row level security;
alter table mana_ai.projection_backlogs force row level security;
create policy own_rows on mana_ai.projection_backlogs
  using (user_id = current_setting('app.current_user_id', true))
  with check (user_id = current_setting('app.current_user_id', true));
grant select, insert, update, delete on mana_ai.projection_backlogs to mana_missions_projection;
create policy projection_sees_all on mana_ai.projection_backlogs to mana_missions_projection using (true) with check (true);

-- Schedules are brought up to date user by user: a hundred thousand of one must not keep the one of another waiting.
create index mission_snapshots_pending_users on mana_ai.mission_snapshots (user_id, updated_at)
  where version <> applied_version;
-- How many missions of a user have a schedule.
create index mission_snapshots_scheduled on mana_ai.mission_snapshots (user_id) where applied_schedule is not null;
