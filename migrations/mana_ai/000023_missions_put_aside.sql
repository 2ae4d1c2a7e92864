-- Missions whose outcome could not be written because that ended the worker three times. Nothing of theirs can be written to
-- the log, so their instant stands in the past there: it is not started again. Ids and times only.
create table mana_ai.missions_put_aside (
  user_id text not null check (user_id <> ''),
  mission_id text not null,
  -- All instants up to this one are over.
  put_aside_at timestamptz not null,
  primary key (user_id, mission_id)
);
alter table mana_ai.missions_put_aside enable row level security;
alter table mana_ai.missions_put_aside force row level security;
create policy own_rows on mana_ai.missions_put_aside
  using (user_id = current_setting('app.current_user_id', true))
  with check (user_id = current_setting('app.current_user_id', true));
-- `select` too: `on conflict do update` reads the row.
grant select, insert on mana_ai.missions_put_aside to mana_missions_runner;
grant update (put_aside_at) on mana_ai.missions_put_aside to mana_missions_runner;
grant select on mana_ai.missions_put_aside to mana_missions_projection;
create policy projection_sees_all on mana_ai.missions_put_aside for select to mana_missions_projection using (true);
