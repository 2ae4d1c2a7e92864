-- Rights on mana-sync's change log. Needs the owner of public.sync_changes; safe to run again.
-- The table's own policy (user_id = app.current_user_id) stays as it is; ours narrow it, and one widens it for the
-- projection, which has to see the scheduling fields of every user's missions.
grant select (id, app_id, table_name, record_id, user_id, space_id, op, data, field_meta, client_id, created_at)
  on public.sync_changes to mana_missions_vault, mana_missions_runner, mana_missions_projection;
grant insert (id, app_id, table_name, record_id, user_id, space_id, op, data, field_meta, client_id, created_at,
  schema_version, actor, origin)
  on public.sync_changes to mana_missions_runner;

drop policy if exists mana_missions_projection_reads on public.sync_changes;
create policy mana_missions_projection_reads on public.sync_changes
  for select to mana_missions_projection
  using (app_id = 'ai' and table_name in ('aiMissions', 'agents'));

drop policy if exists mana_missions_projection_sees_no_more on public.sync_changes;
create policy mana_missions_projection_sees_no_more on public.sync_changes
  as restrictive for select to mana_missions_projection
  using (app_id = 'ai' and table_name in ('aiMissions', 'agents'));

drop policy if exists mana_missions_reads_inputs_only on public.sync_changes;
create policy mana_missions_reads_inputs_only on public.sync_changes
  as restrictive for select to mana_missions_runner, mana_missions_vault
  using (
    (app_id = 'ai' and table_name in ('aiMissions', 'agents'))
    or (app_id = 'companion' and table_name = 'companionGoals')
    or (app_id = 'notes' and table_name = 'notes')
    or (app_id = 'todo' and table_name = 'tasks')
    or (app_id = 'calendar' and table_name = 'events')
    or (app_id = 'journal' and table_name = 'journalEntries')
    or (app_id = 'kontext' and table_name = 'kontextDoc')
    or (app_id = 'profile' and table_name = 'userContext')
  );

drop policy if exists mana_missions_runner_writes_iterations_only on public.sync_changes;
create policy mana_missions_runner_writes_iterations_only on public.sync_changes
  as restrictive for insert to mana_missions_runner
  with check (
    app_id = 'ai' and table_name = 'aiMissions' and op = 'update'
    and client_id = 'mana-ai-runner' and origin in ('agent', 'system')
  );
