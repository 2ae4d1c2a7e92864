-- What mana-auth owns in database mana_platform (docs/platform.md section 6). Run by its owner, mana_auth_owner.
create schema auth;

create table auth.users (
  id text primary key,
  email text,
  created_at timestamptz not null default now()
);

-- No reference to auth.users: the contract knows users that have a vault and are missing there (docs/platform.md section 7).
create table auth.encryption_vaults (
  user_id text primary key,
  wrapped_mk text,
  wrap_iv text,
  format_version integer not null default 1,
  kek_id text,
  recovery_wrapped_mk text,
  recovery_iv text,
  recovery_format_version integer,
  recovery_set_at timestamptz,
  zero_knowledge boolean not null default false,
  created_at timestamptz not null default now(),
  rotated_at timestamptz
);

alter table auth.encryption_vaults enable row level security;
alter table auth.encryption_vaults force row level security;
create policy encryption_vaults_user on auth.encryption_vaults
  for all
  using (user_id = current_setting('app.current_user_id', true))
  with check (user_id = current_setting('app.current_user_id', true));

-- Without row-level security: accesses by somebody else are what it is there to show.
create table auth.encryption_vault_audit (
  id text primary key,
  user_id text not null references auth.users (id),
  action text not null,
  ip_address text,
  user_agent text,
  context text,
  status integer,
  created_at timestamptz not null default now()
);
