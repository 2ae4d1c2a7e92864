-- Missions that their user took out of the background (DELETE …/missions/:id/schedule). They run when asked to.
create table mana_ai.schedule_opt_outs (
  user_id text not null check (user_id <> ''),
  mission_id text not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (user_id, mission_id)
);
alter table mana_ai.schedule_opt_outs enable row level security;
alter table mana_ai.schedule_opt_outs force row level security;
create policy own_rows on mana_ai.schedule_opt_outs
  using (user_id = current_setting('app.current_user_id', true))
  with check (user_id = current_setting('app.current_user_id', true));
grant select, insert, delete on mana_ai.schedule_opt_outs to mana_missions_api;
grant select on mana_ai.schedule_opt_outs to mana_missions_projection;
create policy projection_sees_all on mana_ai.schedule_opt_outs for select to mana_missions_projection using (true);

-- Active missions by their instant: whoever looks for passed ones finds them without reading all.
create index mission_snapshots_active on mana_ai.mission_snapshots (next_run_at, user_id, mission_id)
  where exists_now and state = 'active';
