-- What models cost, for whoever logs in as a member of the maintenance role: docs/operations.md. The figures of a round name
-- ids, a model and a time, and no content.
create policy maintenance_reads_all on mana_ai.token_usage for select to mana_missions_maintenance using (true);
grant select on mana_ai.token_usage to mana_missions_maintenance;
-- Of the reader's own rights: without `security_invoker` the owner's would count, who under row-level security sees no rows.
create view mana_ai.token_usage_by_day with (security_invoker = true) as
  select (recorded_at at time zone 'UTC')::date as day, user_id, agent_id, mission_id, purpose, resolved_model,
    count(*) as calls, sum(prompt_tokens) as prompt_tokens, sum(completion_tokens) as completion_tokens,
    sum(total_tokens) as total_tokens
  from mana_ai.token_usage
  group by 1, 2, 3, 4, 5, 6;
grant select on mana_ai.token_usage_by_day to mana_missions_maintenance;

-- How long what is derived or only logged is kept (docs/operations.md). One function of the owner deletes it for everybody; the
-- runner's sweep calls it and gets no right to read or delete by itself. So the owner sees and deletes the rows of all users of
-- these tables, and of no others.
do $$
declare
  table_name text;
begin
  foreach table_name in array array['token_usage', 'mission_snapshots', 'agent_snapshots', 'mission_grants'] loop
    execute format('create policy owner_reads_all on mana_ai.%I for select to current_user using (true)', table_name);
    execute format('create policy owner_deletes_all on mana_ai.%I for delete to current_user using (true)', table_name);
  end loop;
end $$;
create index token_usage_recorded_at on mana_ai.token_usage (recorded_at);
create index mission_snapshots_gone on mana_ai.mission_snapshots (updated_at) where not exists_now;
create index agent_snapshots_gone on mana_ai.agent_snapshots (updated_at) where not exists_now;
create index mission_grants_expired on mana_ai.mission_grants (expires_at) where version = 'v2';

-- Deletes at most so many rows of each table. Grants of v1 stay: without its row one would count as another service's, with
-- whatever times it claims.
create function mana_ai.delete_outdated(
  at_most integer, out usage_rows bigint, out missions bigint, out agents bigint, out grants bigint
) language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- One value for all: a function that may change within a statement bounds no scan of an index.
  now_is constant timestamptz := clock_timestamp();
begin
  delete from mana_ai.token_usage where ctid = any (array(
    select ctid from mana_ai.token_usage where recorded_at < now_is - interval '400 days' limit at_most));
  get diagnostics usage_rows = row_count;
  -- Of missions that are gone, and whose schedule is. One that shows the offset from UTC that a living mission of its user goes
  -- by, for want of one of its own, stays as long as that one lives.
  delete from mana_ai.mission_snapshots where ctid = any (array(
    select gone.ctid from mana_ai.mission_snapshots gone
    where not gone.exists_now and gone.updated_at < now_is - interval '90 days'
      and gone.version = gone.applied_version and gone.applied_schedule is null
      and (gone.device_utc_offset_minutes is null or not exists (
        select from mana_ai.mission_snapshots living
        where living.user_id = gone.user_id and living.exists_now and living.device_utc_offset_minutes is null))
    limit at_most))
    -- Whoever revived one meanwhile keeps it.
    and not exists_now and updated_at < now_is - interval '90 days';
  get diagnostics missions = row_count;
  delete from mana_ai.agent_snapshots where ctid = any (array(
    select ctid from mana_ai.agent_snapshots
    where not exists_now and updated_at < now_is - interval '90 days' limit at_most))
    and not exists_now and updated_at < now_is - interval '90 days';
  get diagnostics agents = row_count;
  delete from mana_ai.mission_grants where ctid = any (array(
    select ctid from mana_ai.mission_grants
    where version = 'v2' and expires_at < now_is - interval '180 days' limit at_most));
  get diagnostics grants = row_count;
end $$;
revoke execute on function mana_ai.delete_outdated(integer) from public;
grant execute on function mana_ai.delete_outdated(integer) to mana_missions_runner;
