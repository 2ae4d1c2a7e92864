-- One group role per process (architecture section 2). They cannot log in: the operator makes LOGIN users members of them.
-- Roles belong to the whole cluster, so another migrator may make the same one at the same time.
do $$
declare
  role_name text;
begin
  foreach role_name in array array[
    'mana_missions_api', 'mana_missions_vault', 'mana_missions_runner', 'mana_missions_projection'
  ] loop
    if not exists (select from pg_catalog.pg_roles where rolname = role_name) then
      begin
        execute format('create role %I nologin', role_name);
      exception when duplicate_object or unique_violation then
        null;
      end;
    end if;
  end loop;
end $$;

grant usage on schema mana_ai
  to mana_missions_api, mana_missions_vault, mana_missions_runner, mana_missions_projection;
