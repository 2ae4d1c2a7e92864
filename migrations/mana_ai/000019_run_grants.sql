-- The grant that a run sealed with, as it stands in the mission record (its key is wrapped for the runner): whatever the
-- record says later, the run keeps to it. Written by the vault worker with the sealed rows, deleted with them.
create table mana_ai.run_grants (
  user_id text not null check (user_id <> ''),
  run_id text not null,
  mission_id text not null,
  mission_grant jsonb not null,
  kept_at timestamptz not null default clock_timestamp(),
  primary key (user_id, run_id)
);
create index run_grants_mission on mana_ai.run_grants (user_id, mission_id);
alter table mana_ai.run_grants enable row level security;
alter table mana_ai.run_grants force row level security;
create policy own_rows on mana_ai.run_grants using (user_id = current_setting('app.current_user_id', true))
  with check (user_id = current_setting('app.current_user_id', true));
grant select, insert on mana_ai.run_grants to mana_missions_vault;
grant select, delete on mana_ai.run_grants to mana_missions_runner;

-- The runner's word in the audit: what was sealed for a run and did not open there. It can say nothing else, and of each
-- record once in an iteration; it still reads nothing of the audit.
create function mana_ai.audit_unopened(of_run text, of_iteration text, of_tables text[], of_records text[]) returns bigint
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  written bigint;
begin
  insert into mana_ai.decrypt_audit (user_id, mission_id, iteration_id, table_name, record_id, status, reason)
  select sealed.user_id, sealed.mission_id, of_iteration, sealed.table_name, sealed.record_id, 'failed',
    'sealed under another key than the grant''s'
  from mana_ai.sealed_inputs as sealed
  join unnest(of_tables, of_records) as unopened (table_name, record_id)
    on unopened.table_name = sealed.table_name and unopened.record_id = sealed.record_id
  where sealed.user_id = current_setting('app.current_user_id', true) and sealed.run_id = of_run
    and not exists (
      select from mana_ai.decrypt_audit as audited
      where audited.user_id = sealed.user_id and audited.mission_id = sealed.mission_id
        and audited.iteration_id = of_iteration and audited.table_name = sealed.table_name
        and audited.record_id = sealed.record_id and audited.status = 'failed'
    )
  order by sealed.table_name, sealed.record_id;
  get diagnostics written = row_count;
  return written;
end $$;
revoke execute on function mana_ai.audit_unopened(text, text, text[], text[]) from public;
grant execute on function mana_ai.audit_unopened(text, text, text[], text[]) to mana_missions_runner;
