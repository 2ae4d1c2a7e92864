-- The projection merges new rows into what it keeps, instead of replaying a mission from all of its rows: the winning
-- writes of the scheduling fields with their times, never a title or a text. Null: to be replayed once from the log.
alter table mana_ai.mission_snapshots
  add column merge_state jsonb,
  -- The user's distance from UTC as a device's `nextRunAt` shows it, and when that was written. For users who never named
  -- a time zone; never from our own writes.
  add column device_utc_offset_minutes integer,
  add column device_offset_at timestamptz;

-- Which agents stand still, for whoever asks why nothing happens.
create table mana_ai.agent_snapshots (
  user_id text not null check (user_id <> ''),
  agent_id text not null,
  exists_now boolean not null,
  state text,
  merge_state jsonb,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (user_id, agent_id)
);
alter table mana_ai.agent_snapshots enable row level security;
alter table mana_ai.agent_snapshots force row level security;
create policy own_rows on mana_ai.agent_snapshots
  using (user_id = current_setting('app.current_user_id', true))
  with check (user_id = current_setting('app.current_user_id', true));
grant select, insert, update on mana_ai.agent_snapshots to mana_missions_projection;
create policy projection_sees_all on mana_ai.agent_snapshots to mana_missions_projection using (true) with check (true);
grant select (user_id, agent_id, exists_now, state) on mana_ai.agent_snapshots to mana_missions_api;

-- Which run is open: ids only. The projection starts no overdue mission that has one and passes on a wish to cancel; the
-- API refuses a second run.
grant select on mana_ai.run_slots to mana_missions_projection;
create policy projection_sees_all on mana_ai.run_slots for select to mana_missions_projection using (true);
grant select on mana_ai.run_slots to mana_missions_api;

-- The offsets that devices showed are the last resort for the zone of a mission.
grant select (user_id, mission_id, device_utc_offset_minutes, device_offset_at)
  on mana_ai.mission_snapshots to mana_missions_runner;
create index mission_snapshots_offsets on mana_ai.mission_snapshots (user_id, device_offset_at)
  where device_utc_offset_minutes is not null;
