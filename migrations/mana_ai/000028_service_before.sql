-- What the service before this one left behind and nobody can derive: its decrypt audit, and deep research that users have paid for and
-- not seen. The migrator has moved its tables into schema mana_ai_before (docs/upgrade-from-before.md); where there is no such schema,
-- there is nothing to take over.

-- A deep task that was outstanding, until it has come to its end: the mission's next run asks for it instead of paying again.
create table mana_ai.research_before (
  user_id text not null check (user_id <> ''),
  mission_id text not null,
  -- As it stood there. What is no id of a task counts as failed.
  task_id text,
  primary key (user_id, mission_id)
);
alter table mana_ai.research_before enable row level security;
alter table mana_ai.research_before force row level security;
create policy own_rows on mana_ai.research_before
  using (user_id = current_setting('app.current_user_id', true))
  with check (user_id = current_setting('app.current_user_id', true));
grant select, delete on mana_ai.research_before to mana_missions_runner;

-- Its audit rows are copied as they are, ids included, and chained user by user in the order of the ids. The trigger would do the same,
-- with a lock for each user, of which the server has not enough for tens of thousands. What cannot be a row of ours (it has no user, say)
-- stays where it is, and the operator is told how many.
do $$
declare
  row_before record;
  audited mana_ai.decrypt_audit;
  previous mana_ai.decrypt_audit;
  was_forced boolean;
  keeps_ids boolean;
  of_all bigint;
  copied bigint := 0;
begin
  if to_regclass('mana_ai_before.decrypt_audit') is null then return; end if;
  -- Whoever owns it can make reading it run anything.
  if exists (
    select from pg_class where oid = to_regclass('mana_ai_before.decrypt_audit') and not pg_has_role(current_user, relowner, 'usage')
  ) then
    raise exception 'mana_ai_before.decrypt_audit belongs to somebody else: make % its owner', current_user;
  end if;
  -- Waits for what is being written there: the schema was renamed without a lock on its tables.
  lock table mana_ai_before.decrypt_audit in share row exclusive mode;
  select relforcerowsecurity into was_forced from pg_class where oid = to_regclass('mana_ai_before.decrypt_audit');
  if was_forced then alter table mana_ai_before.decrypt_audit no force row level security; end if;
  if row_security_active('mana_ai_before.decrypt_audit') then
    raise exception 'row-level security hides rows of mana_ai_before.decrypt_audit';
  end if;

  -- The owner is under row-level security as well.
  alter table mana_ai.decrypt_audit no force row level security;
  alter table mana_ai.decrypt_audit disable trigger decrypt_audit_chaining;
  -- Rows of ours that stand there already have ids of their own.
  keeps_ids := not exists (select from mana_ai.decrypt_audit);
  select count(*) into of_all from mana_ai_before.decrypt_audit;
  for row_before in
    select * from mana_ai_before.decrypt_audit as rows
     where rows.user_id <> '' and rows.mission_id is not null and rows.table_name is not null and rows.record_id is not null
       and rows.status in ('ok', 'failed', 'scope-violation') and isfinite(rows.ts)
     order by rows.user_id, rows.id
  loop
    if previous.user_id is distinct from row_before.user_id then
      perform set_config('app.current_user_id', row_before.user_id, true);
      select head.seq, head.hash into previous.seq, previous.hash from mana_ai.audit_head(row_before.user_id) as head;
    end if;
    audited.id := case when keeps_ids then row_before.id else nextval('mana_ai.decrypt_audit_id_seq') end;
    audited.user_id := row_before.user_id;
    audited.mission_id := row_before.mission_id;
    audited.iteration_id := row_before.iteration_id;
    audited.table_name := row_before.table_name;
    audited.record_id := row_before.record_id;
    audited.status := row_before.status;
    audited.reason := row_before.reason;
    audited.ts := row_before.ts;
    audited.seq := previous.seq + 1;
    audited.hash := mana_ai.decrypt_audit_hash(audited, previous.hash);
    insert into mana_ai.decrypt_audit values (audited.*);
    previous := audited;
    copied := copied + 1;
  end loop;
  perform set_config('app.current_user_id', '', true);
  -- New rows come after them, also in the order of ids.
  if keeps_ids then
    perform setval('mana_ai.decrypt_audit_id_seq', max(id)) from mana_ai.decrypt_audit having max(id) > 0;
  end if;
  alter table mana_ai.decrypt_audit enable trigger decrypt_audit_chaining;
  alter table mana_ai.decrypt_audit force row level security;
  if was_forced then alter table mana_ai_before.decrypt_audit force row level security; end if;
  raise warning 'audit rows of the service before: % taken over, % left in mana_ai_before.decrypt_audit', copied, of_all - copied;
end $$;

do $$
begin
  if to_regclass('mana_ai_before.mission_research_jobs') is null then return; end if;
  if exists (
    select from pg_class where oid = to_regclass('mana_ai_before.mission_research_jobs')
      and not pg_has_role(current_user, relowner, 'usage')
  ) then
    raise exception 'mana_ai_before.mission_research_jobs belongs to somebody else: make % its owner', current_user;
  end if;
  if row_security_active('mana_ai_before.mission_research_jobs') then
    raise exception 'row-level security hides rows of mana_ai_before.mission_research_jobs';
  end if;
  lock table mana_ai_before.mission_research_jobs in share row exclusive mode;
  alter table mana_ai.research_before no force row level security;
  insert into mana_ai.research_before (user_id, mission_id, task_id)
  select user_id, mission_id, task_id from mana_ai_before.mission_research_jobs where user_id <> '';
  alter table mana_ai.research_before force row level security;
end $$;

-- Who is erased is erased there, too, where snapshots hold whole records.
create function mana_ai.erase_service_before(of_user text) returns void language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
declare
  set_user constant text := current_setting('app.current_user_id', true);
  table_name text;
begin
  -- A schema of that name that somebody else made is not touched with the owner's rights, and not passed over either.
  if exists (
    select from pg_class where relnamespace = to_regnamespace('mana_ai_before') and not pg_has_role(current_user, relowner, 'usage')
  ) then
    raise exception 'schema mana_ai_before has tables of somebody else: make % their owner', current_user;
  end if;
  perform set_config('app.current_user_id', of_user, true);
  foreach table_name in array array[
    'decrypt_audit', 'mission_snapshots', 'agent_snapshots', 'mission_research_jobs', 'token_usage'
  ] loop
    if to_regclass(format('mana_ai_before.%I', table_name)) is not null then
      execute format('delete from mana_ai_before.%I where user_id = $1', table_name) using of_user;
    end if;
  end loop;
  delete from mana_ai.research_before as rows where rows.user_id = of_user;
  perform set_config('app.current_user_id', coalesce(set_user, ''), true);
end $$;
revoke execute on function mana_ai.erase_service_before(text) from public;

create or replace function mana_ai.erase_decrypt_audit(of_user text) returns bigint language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
declare
  set_user constant text := current_setting('app.current_user_id', true);
  erased bigint;
begin
  perform pg_advisory_xact_lock_shared(1835101792, 0);
  perform mana_ai.lock_audit_chain(of_user);
  perform mana_ai.erase_service_before(of_user);
  perform set_config('app.current_user_id', of_user, true);
  delete from mana_ai.sealed_inputs as sealed where sealed.user_id = of_user;
  delete from mana_ai.decrypt_audit as rows where rows.user_id = of_user;
  get diagnostics erased = row_count;
  delete from mana_ai.audit_checkpoints as checkpoints where checkpoints.user_id = of_user;
  perform set_config('app.current_user_id', coalesce(set_user, ''), true);
  return erased;
end $$;
