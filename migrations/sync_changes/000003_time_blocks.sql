-- The times of a calendar event stand in clear in the record that its `timeBlockId` names (contract section 2), which is
-- no input itself. Only the runner needs them; the vault worker keeps to what it may seal. Safe to run again.
drop policy if exists mana_missions_reads_inputs_only on public.sync_changes;
create policy mana_missions_reads_inputs_only on public.sync_changes
  as restrictive for select to mana_missions_vault
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

drop policy if exists mana_missions_runner_reads_inputs_only on public.sync_changes;
create policy mana_missions_runner_reads_inputs_only on public.sync_changes
  as restrictive for select to mana_missions_runner
  using (
    (app_id = 'ai' and table_name in ('aiMissions', 'agents'))
    or (app_id = 'companion' and table_name = 'companionGoals')
    or (app_id = 'notes' and table_name = 'notes')
    or (app_id = 'todo' and table_name = 'tasks')
    or (app_id = 'calendar' and table_name = 'events')
    -- The contract does not say which app owns them.
    or table_name = 'timeBlocks'
    or (app_id = 'journal' and table_name = 'journalEntries')
    or (app_id = 'kontext' and table_name = 'kontextDoc')
    or (app_id = 'profile' and table_name = 'userContext')
  );
