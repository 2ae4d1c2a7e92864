-- Rights on mana-auth's vault. Needs the owner of schema auth; safe to run again.
-- mana_platform may be on another cluster than mana_sync, so the two roles are made here as well.
do $$
declare
  role_name text;
begin
  foreach role_name in array array['mana_missions_api', 'mana_missions_vault'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = role_name) then
      begin
        execute format('create role %I nologin', role_name);
      exception when duplicate_object or unique_violation then
        null;
      end;
    end if;
  end loop;
end $$;

grant usage on schema auth to mana_missions_api, mana_missions_vault;
-- The recovery columns are not ours to read.
grant select (user_id, wrapped_mk, wrap_iv, format_version, kek_id, zero_knowledge)
  on auth.encryption_vaults to mana_missions_api, mana_missions_vault;
grant insert (id, user_id, action, ip_address, user_agent, context, status, created_at)
  on auth.encryption_vault_audit to mana_missions_api, mana_missions_vault;
