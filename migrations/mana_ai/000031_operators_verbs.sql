-- Whether an operator has stopped the planning of all missions, of those written later, too: one row that each run looks at before it
-- claims an instant, and the projection before it starts one. Members of the maintenance role set it (yarn missions stop-all).
create table mana_ai.planning_stop (
  only_row boolean primary key default true check (only_row),
  -- Null: missions are planned.
  stopped_at timestamptz
);
insert into mana_ai.planning_stop default values;

alter table mana_ai.planning_stop enable row level security;
alter table mana_ai.planning_stop force row level security;
create policy seen_by_all on mana_ai.planning_stop for select
  to mana_missions_api, mana_missions_runner, mana_missions_projection, mana_missions_maintenance using (true);
create policy maintenance_stops on mana_ai.planning_stop for update to mana_missions_maintenance using (true) with check (true);
grant select on mana_ai.planning_stop
  to mana_missions_api, mana_missions_runner, mana_missions_projection, mana_missions_maintenance;
grant update (stopped_at) on mana_ai.planning_stop to mana_missions_maintenance;

-- How many grants that can still be used each of the runner's keys opens, of all users and without one: the old key stays until they
-- have ended (yarn missions keys rotate grant).
create function mana_ai.live_grants_by_key(out key_id text, out grants bigint, out last_expires_at timestamptz)
returns setof record language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select key_id, count(*), max(expires_at) from mana_ai.mission_grants
  where revoked_at is null and expires_at > clock_timestamp() group by key_id order by key_id
$$;
revoke execute on function mana_ai.live_grants_by_key() from public;
grant execute on function mana_ai.live_grants_by_key() to mana_missions_maintenance;
