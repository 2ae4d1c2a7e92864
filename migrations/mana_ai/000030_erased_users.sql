-- Users who were erased (docs/operations.md, "Erasing a user"), so that they stay it: rows of theirs that stand in the change log
-- are not taken in again, and nothing is done for them any more. No process of ours reads or writes the table itself.
create table mana_ai.erased_users (
  -- SHA-256 over the user's id. Ids are random, so nobody learns one from it; who knows one can ask.
  user_sha256 bytea primary key check (octet_length(user_sha256) = 32),
  erased_at timestamptz not null default clock_timestamp()
);

-- Whether a user was erased, or is being entered as such at this moment. Who is told "no" holds the user's lock until the
-- transaction ends, and a user is entered under the same lock alone: so what was begun before is committed before, and is then found.
-- It never waits: a transaction may ask for a user whom another one of the same process holds.
create function mana_ai.is_erased(of_user text) returns boolean language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  if not pg_try_advisory_xact_lock_shared(hashtextextended(json_build_array('erasing', of_user)::text, 0)) then
    return true;
  end if;
  return exists (select from mana_ai.erased_users where user_sha256 = sha256(convert_to(of_user, 'UTF8')));
end $$;

create function mana_ai.enter_erased_user(of_user text) returns void language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  if of_user is null or btrim(of_user) = '' then
    raise exception 'a user has an id' using errcode = 'check_violation';
  end if;
  perform pg_advisory_xact_lock(hashtextextended(json_build_array('erasing', of_user)::text, 0));
  insert into mana_ai.erased_users (user_sha256) values (sha256(convert_to(of_user, 'UTF8'))) on conflict do nothing;
end $$;

-- Whoever writes, also another service: of a user who was erased there are no rows. They are passed over in silence, because a
-- statement has rows of several users.
create function mana_ai.pass_over_erased() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  return case when mana_ai.is_erased(new.user_id) then null else new end;
end $$;

-- Every table with a `user_id` has the trigger (a test compares them), and is one that `erase_user_rows` deletes from.
create function mana_ai.tables_of_users() returns setof name language sql stable set search_path = pg_catalog, pg_temp
begin atomic
  select tables.relname from pg_catalog.pg_class tables
  join pg_catalog.pg_attribute columns on columns.attrelid = tables.oid
  where tables.relnamespace = 'mana_ai'::regnamespace and tables.relkind in ('r', 'p')
    and columns.attname = 'user_id' and not columns.attisdropped
  order by tables.relname;
end;
do $$
declare
  table_name name;
begin
  for table_name in select mana_ai.tables_of_users() loop
    execute format('create trigger erased_users_have_none before insert on mana_ai.%I
      for each row execute function mana_ai.pass_over_erased()', table_name);
  end loop;
end $$;

-- Deletes all rows of a user who was entered before. Returns how many went of each table that had some.
create function mana_ai.erase_user_rows(of_user text) returns table (erased_from name, erased_rows bigint)
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  set_user constant text := current_setting('app.current_user_id', true);
begin
  if not mana_ai.is_erased(of_user) then
    raise exception 'the user has not been entered as erased' using errcode = 'check_violation';
  end if;
  -- The audit's own way, with its locks; what is sealed refers to it.
  erased_from := 'decrypt_audit';
  erased_rows := mana_ai.erase_decrypt_audit(of_user);
  if erased_rows > 0 then return next; end if;
  perform set_config('app.current_user_id', of_user, true);
  for erased_from in select mana_ai.tables_of_users() loop
    execute format('delete from mana_ai.%I where user_id = $1', erased_from) using of_user;
    get diagnostics erased_rows = row_count;
    if erased_rows > 0 then return next; end if;
  end loop;
  perform set_config('app.current_user_id', coalesce(set_user, ''), true);
end $$;

revoke execute on function
  mana_ai.is_erased(text), mana_ai.enter_erased_user(text), mana_ai.erase_user_rows(text), mana_ai.tables_of_users()
  from public;
grant execute on function mana_ai.is_erased(text)
  to mana_missions_api, mana_missions_vault, mana_missions_runner, mana_missions_projection;
grant execute on function mana_ai.enter_erased_user(text), mana_ai.erase_user_rows(text) to mana_missions_maintenance;
