-- What a run keeps besides its rounds, encrypted like them: research results and compacted transcripts.
create table mana_ai.run_notes (
  user_id text not null check (user_id <> ''),
  iteration_id text not null,
  kind text not null,
  mission_id text not null,
  entry bytea not null,
  stored_at timestamptz not null default clock_timestamp(),
  primary key (user_id, iteration_id, kind)
);
-- Research that was asked for. A deep one costs credits at submission: the row is committed before the request goes out,
-- and a task that has none of an id afterwards is never submitted again.
create table mana_ai.research_tasks (
  user_id text not null check (user_id <> ''),
  iteration_id text not null,
  mission_id text not null,
  kind text not null check (kind in ('shallow', 'deep')),
  state text not null check (state in ('submitting', 'submitted', 'done', 'failed')),
  -- The service's id of a deep task.
  task_id text,
  created_at timestamptz not null default clock_timestamp(),
  primary key (user_id, iteration_id)
);
do $$
declare
  table_name text;
begin
  foreach table_name in array array['run_notes', 'research_tasks'] loop
    execute format('alter table mana_ai.%I enable row level security', table_name);
    execute format('alter table mana_ai.%I force row level security', table_name);
    execute format(
      'create policy own_rows on mana_ai.%I using (user_id = current_setting(''app.current_user_id'', true))
         with check (user_id = current_setting(''app.current_user_id'', true))',
      table_name
    );
  end loop;
end $$;
create index run_notes_mission on mana_ai.run_notes (user_id, mission_id);
create index research_tasks_mission on mana_ai.research_tasks (user_id, mission_id);
grant select, insert, delete on mana_ai.run_notes to mana_missions_runner;
grant select, insert, delete on mana_ai.research_tasks to mana_missions_runner;
grant update (state, task_id) on mana_ai.research_tasks to mana_missions_runner;
