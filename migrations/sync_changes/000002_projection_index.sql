-- postgres-migrations disable-transaction
-- The projection follows missions and agents only: its cost must not depend on how much else is written to the log.
create index concurrently if not exists mana_missions_projection_follows
  on public.sync_changes (created_at, id)
  where app_id = 'ai' and table_name in ('aiMissions', 'agents');
