-- Who may do what. Row-level security guards against our own bugs: a statement sees one user's rows only, the one set
-- with set_config('app.current_user_id', …, true). FORCED, so that the owner is no exception.
do $$
declare
  table_name text;
begin
  foreach table_name in array array[
    'mission_grants', 'decrypt_audit', 'sealed_inputs', 'run_transcripts', 'run_keys', 'run_slots', 'token_usage',
    'mission_time_zones', 'mission_snapshots'
  ] loop
    execute format('alter table mana_ai.%I enable row level security', table_name);
    execute format('alter table mana_ai.%I force row level security', table_name);
    execute format(
      'create policy own_rows on mana_ai.%I using (user_id = current_setting(''app.current_user_id'', true))
         with check (user_id = current_setting(''app.current_user_id'', true))',
      table_name
    );
  end loop;
end $$;

-- The API mints, shows the audit log and the schedule.
grant select, insert on mana_ai.mission_grants to mana_missions_api;
grant update (revoked_at) on mana_ai.mission_grants to mana_missions_api;
grant select on mana_ai.decrypt_audit to mana_missions_api;
grant select, insert on mana_ai.mission_time_zones to mana_missions_api;
grant update (time_zone, updated_at) on mana_ai.mission_time_zones to mana_missions_api;
grant select on mana_ai.mission_snapshots to mana_missions_api;

-- The vault worker checks grants, writes the audit and seals.
grant select, insert on mana_ai.mission_grants to mana_missions_vault;
grant update (revoked_at, first_used_at, pinned_agent_id) on mana_ai.mission_grants to mana_missions_vault;
grant select, insert on mana_ai.decrypt_audit to mana_missions_vault;
grant usage on sequence mana_ai.decrypt_audit_id_seq to mana_missions_vault;
grant select, insert on mana_ai.sealed_inputs to mana_missions_vault;

-- The runner opens what was sealed, keeps its transcript and forgets.
grant select (user_id, wrapped_key_sha256, mission_id, expires_at, revoked_at) on mana_ai.mission_grants to mana_missions_runner;
grant select, delete on mana_ai.sealed_inputs to mana_missions_runner;
grant select, insert, delete on mana_ai.run_transcripts to mana_missions_runner;
grant select, insert, delete on mana_ai.run_keys to mana_missions_runner;
grant select, insert, delete on mana_ai.run_slots to mana_missions_runner;
grant update (agent_id, workflow_id, run_id, iteration_id, claimed_at) on mana_ai.run_slots to mana_missions_runner;
grant select, insert on mana_ai.token_usage to mana_missions_runner;
grant select on mana_ai.mission_time_zones to mana_missions_runner;
-- The sweep looks for slots of runs that were terminated, whoever they belong to. A slot holds ids only.
create policy sweep_sees_all_slots on mana_ai.run_slots for select to mana_missions_runner using (true);

-- The projection knows scheduling fields of everybody and no content.
grant select, insert, update on mana_ai.mission_snapshots to mana_missions_projection;
create policy projection_sees_all on mana_ai.mission_snapshots to mana_missions_projection using (true) with check (true);
grant select on mana_ai.mission_time_zones to mana_missions_projection;
create policy projection_sees_all on mana_ai.mission_time_zones for select to mana_missions_projection using (true);
grant select (user_id, mission_id, issued_at, revoked_at) on mana_ai.mission_grants to mana_missions_projection;
grant update (revoked_at) on mana_ai.mission_grants to mana_missions_projection;
grant select, update on mana_ai.projection_cursor to mana_missions_projection;
grant select, insert, delete on mana_ai.projected_changes to mana_missions_projection;
