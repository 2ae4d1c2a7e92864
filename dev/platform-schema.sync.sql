-- What mana-sync owns in database mana_sync (docs/platform.md section 1). Run by its owner, mana_sync_owner.
create table public.sync_changes (
  id uuid primary key default gen_random_uuid(),
  app_id text not null,
  table_name text not null,
  record_id text not null,
  user_id text not null,
  space_id text,
  op text not null,
  data jsonb,
  field_meta jsonb default '{}',
  client_id text not null,
  created_at timestamptz not null default now(),
  schema_version integer not null default 1,
  actor jsonb,
  origin text
);

create index sync_changes_user_app on public.sync_changes (user_id, app_id, created_at);
create index sync_changes_record on public.sync_changes (table_name, record_id, created_at);
create index sync_changes_user_app_table on public.sync_changes (user_id, app_id, table_name, created_at);

alter table public.sync_changes enable row level security;
alter table public.sync_changes force row level security;
create policy sync_changes_user on public.sync_changes
  for all
  using (user_id = current_setting('app.current_user_id', true))
  with check (user_id = current_setting('app.current_user_id', true));
