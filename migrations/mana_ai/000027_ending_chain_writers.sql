-- A transaction that ends gives its locks back one after the other: who waited for the order of all chains may get it in the
-- moment before the last writer's chain is free. With that order held, nobody who goes on holds a chain, so waiting for one
-- that is still taken ends, where 000006 said "try again".
create or replace function mana_ai.lock_audit_chain(of_user text) returns void language plpgsql
  set search_path = pg_catalog, pg_temp as $$
begin
  if pg_try_advisory_xact_lock(1835101793, hashtext(of_user)) then return; end if;
  if exists (
    select from pg_locks
    where locktype = 'advisory' and classid = 1835101793 and objsubid = 2 and pid = pg_backend_pid() and granted
  ) and not exists (
    select from pg_locks
    where locktype = 'advisory' and classid = 1835101792 and objid = 0 and objsubid = 2 and pid = pg_backend_pid()
      and granted and mode = 'ExclusiveLock'
  ) then
    raise exception 'the audit chains of several users are in use elsewhere; try the transaction again'
      using errcode = 'serialization_failure';
  end if;
  perform pg_advisory_xact_lock(1835101793, hashtext(of_user));
end $$;
