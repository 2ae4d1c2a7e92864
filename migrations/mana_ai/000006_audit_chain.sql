-- The decrypt audit becomes tamper-evident, and the operator's role may prune and erase it: docs/audit.md.

-- Roles belong to the whole cluster, so another migrator may make the same one at the same time.
do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'mana_missions_maintenance') then
    begin
      create role mana_missions_maintenance nologin;
    exception when duplicate_object or unique_violation then
      null;
    end;
  end if;
end $$;

-- How far a user's chain was pruned, signed by the operator. The rest of the chain continues from it.
create table mana_ai.audit_checkpoints (
  user_id text not null check (user_id <> ''),
  seq bigint not null check (seq > 0),
  hash bytea not null check (octet_length(hash) = 32),
  -- First 8 bytes, in hex, of the SHA-256 of the public key that verifies the signature.
  key_id text not null,
  signature bytea not null check (octet_length(signature) = 64),
  pruned_at timestamptz not null default clock_timestamp(),
  primary key (user_id, seq)
);

-- Canonical encoding, see docs/audit.md: what has no fixed length has it in front, so no two rows encode alike.
create function mana_ai.audit_field(value text) returns bytea language sql immutable
  return case when value is null then '\xffffffff'::bytea
    else int4send(octet_length(convert_to(value, 'UTF8'))) || convert_to(value, 'UTF8') end;

alter table mana_ai.decrypt_audit add column seq bigint, add column hash bytea;

create function mana_ai.decrypt_audit_hash(audited mana_ai.decrypt_audit, previous_hash bytea) returns bytea
  language sql immutable
  return sha256(
    mana_ai.audit_field('mana-missions/decrypt-audit/v1') || previous_hash
    || int8send(audited.seq) || int8send(audited.id)
    || mana_ai.audit_field(audited.user_id) || mana_ai.audit_field(audited.mission_id)
    || mana_ai.audit_field(audited.iteration_id) || mana_ai.audit_field(audited.table_name)
    || mana_ai.audit_field(audited.record_id) || mana_ai.audit_field(audited.status)
    || mana_ai.audit_field(audited.reason)
    || int8send((extract(epoch from audited.ts) * 1000000)::bigint)
  );

-- The chain of rows that stand there already, in the order of their ids. The owner is under row-level security as well.
alter table mana_ai.decrypt_audit no force row level security;
alter table mana_ai.decrypt_audit disable trigger decrypt_audit_is_append_only;
do $$
declare
  audited mana_ai.decrypt_audit;
  previous mana_ai.decrypt_audit;
begin
  for audited in select * from mana_ai.decrypt_audit order by user_id, id loop
    if previous.user_id is distinct from audited.user_id then
      previous.seq := 0;
      previous.hash := decode(repeat('00', 32), 'hex');
    end if;
    audited.seq := previous.seq + 1;
    audited.hash := mana_ai.decrypt_audit_hash(audited, previous.hash);
    update mana_ai.decrypt_audit set seq = audited.seq, hash = audited.hash where id = audited.id;
    previous := audited;
  end loop;
end $$;
alter table mana_ai.decrypt_audit enable trigger decrypt_audit_is_append_only;
alter table mana_ai.decrypt_audit force row level security;

alter table mana_ai.decrypt_audit
  alter column seq set not null,
  alter column hash set not null,
  add constraint decrypt_audit_seq check (seq > 0),
  add constraint decrypt_audit_hash check (octet_length(hash) = 32),
  add constraint decrypt_audit_user_seq unique (user_id, seq);
create index decrypt_audit_mission_seq on mana_ai.decrypt_audit (user_id, mission_id, seq desc);

-- Where a chain ends: its last row, else its last checkpoint, else its beginning. A user's own rights apply.
create function mana_ai.audit_head(of_user text, out seq bigint, out hash bytea) language sql stable
begin atomic
  select head.seq, head.hash
  from (
    (select rows.seq, rows.hash from mana_ai.decrypt_audit as rows
     where rows.user_id = of_user order by rows.seq desc limit 1)
    union all
    (select checkpoints.seq, checkpoints.hash from mana_ai.audit_checkpoints as checkpoints
     where checkpoints.user_id = of_user order by checkpoints.seq desc limit 1)
    union all
    select 0, decode(repeat('00', 32), 'hex')
  ) as head (seq, hash)
  order by head.seq desc limit 1;
end;

-- One advisory lock for each chain. Only the first chain of a transaction is waited for: who waits for a second one
-- while holding a first could wait for ever. 1835101793 is "maia"; key 0 of class 1835101792 stands for all chains.
create function mana_ai.lock_audit_chain(of_user text) returns void language plpgsql
  set search_path = pg_catalog, pg_temp as $$
begin
  if pg_try_advisory_xact_lock(1835101793, hashtext(of_user)) then return; end if;
  if exists (
    select from pg_locks
    where locktype = 'advisory' and classid = 1835101793 and objsubid = 2 and pid = pg_backend_pid() and granted
  ) then
    raise exception 'the audit chains of several users are in use elsewhere; try the transaction again'
      using errcode = 'serialization_failure';
  end if;
  perform pg_advisory_xact_lock(1835101793, hashtext(of_user));
end $$;

-- Under row-level security a statement inserts rows of one user. Where it does not apply, one may insert rows of several
-- in any order, so it keeps all others out; it waits before it holds a chain.
create function mana_ai.order_audit_chaining() returns trigger language plpgsql
  set search_path = pg_catalog, pg_temp as $$
begin
  if row_security_active(tg_relid) then
    perform pg_advisory_xact_lock_shared(1835101792, 0);
  else
    perform pg_advisory_xact_lock(1835101792, 0);
  end if;
  return null;
end $$;

-- Security definer, because not everybody who may insert may read. `seq` and `hash` are ours whatever was given. The
-- head is read row by row and not counted on: rows of `on conflict do nothing` come by here and are not inserted.
create function mana_ai.chain_audit_row() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
declare
  set_user constant text := current_setting('app.current_user_id', true);
  head record;
begin
  if not isfinite(new.ts) then
    raise exception 'mana_ai.decrypt_audit.ts must be finite' using errcode = 'check_violation';
  end if;
  perform mana_ai.lock_audit_chain(new.user_id);
  -- Who inserts without row-level security need not have set the user, but the owner reads under it.
  if set_user is distinct from new.user_id then
    perform set_config('app.current_user_id', new.user_id, true);
  end if;
  select * into head from mana_ai.audit_head(new.user_id);
  if set_user is distinct from new.user_id then
    perform set_config('app.current_user_id', coalesce(set_user, ''), true);
  end if;
  new.seq := head.seq + 1;
  new.hash := mana_ai.decrypt_audit_hash(new, head.hash);
  return new;
end $$;

create trigger decrypt_audit_chaining_order before insert on mana_ai.decrypt_audit
  for each statement execute function mana_ai.order_audit_chaining();
create trigger decrypt_audit_chaining before insert on mana_ai.decrypt_audit
  for each row execute function mana_ai.chain_audit_row();

-- Append-only but for one way: code of the table's owner that somebody runs who logged in as a member of the
-- maintenance role. Only a security definer function of the owner makes the two differ, and those below are the only
-- ones that delete. The owner's own statements fail, also after `set role`; so do those of a maintenance user.
create or replace function mana_ai.refuse_audit_change() returns trigger language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  owner_name constant name := (select pg_get_userbyid(relowner) from pg_class where oid = tg_relid);
begin
  if tg_op = 'DELETE' and current_user = owner_name and session_user <> owner_name
    and current_setting('role') <> owner_name
    and pg_has_role(session_user, 'mana_missions_maintenance', 'usage') then
    return null;
  end if;
  raise exception '%.% is append-only: % is not allowed', tg_table_schema, tg_table_name, lower(tg_op)
    using errcode = 'insufficient_privilege';
end $$;

create trigger audit_checkpoints_is_append_only
  before update or delete or truncate on mana_ai.audit_checkpoints
  for each statement execute function mana_ai.refuse_audit_change();

-- The end of what may be pruned of a chain: every row up to it is older than `older_than`, and no run needs it (a sealed
-- row refers to its audit row). No row: nothing may be. Locks the chain, so the answer holds until the transaction ends.
create function mana_ai.audit_prunable(of_user text, older_than timestamptz, out seq bigint, out hash bytea)
  returns setof record language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  set_user constant text := current_setting('app.current_user_id', true);
  first_kept bigint;
begin
  if older_than > clock_timestamp() - interval '7 days' then
    raise exception 'audit rows of the last 7 days cannot be pruned' using errcode = 'check_violation';
  end if;
  perform pg_advisory_xact_lock_shared(1835101792, 0);
  perform mana_ai.lock_audit_chain(of_user);
  perform set_config('app.current_user_id', of_user, true);
  select min(rows.seq) into first_kept from mana_ai.decrypt_audit as rows
   where rows.user_id = of_user and (
     rows.ts >= older_than
     or exists (select from mana_ai.sealed_inputs as sealed where sealed.user_id = of_user and sealed.audit_id = rows.id)
   );
  return query
    select rows.seq, rows.hash from mana_ai.decrypt_audit as rows
    where rows.user_id = of_user and (first_kept is null or rows.seq < first_kept)
    order by rows.seq desc limit 1;
  perform set_config('app.current_user_id', coalesce(set_user, ''), true);
end $$;

-- Prunes a chain up to a row and leaves the checkpoint that was signed for this very row. Returns how many rows went.
create function mana_ai.prune_decrypt_audit(
  of_user text, older_than timestamptz, through_seq bigint, through_hash bytea, signing_key_id text, signed bytea
) returns bigint language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  set_user constant text := current_setting('app.current_user_id', true);
  pruned bigint;
begin
  if not exists (
    select from mana_ai.audit_prunable(of_user, older_than) as prunable where prunable.seq >= through_seq
  ) then
    raise exception 'the audit chain cannot be pruned that far' using errcode = 'check_violation';
  end if;
  perform set_config('app.current_user_id', of_user, true);
  if not exists (
    select from mana_ai.decrypt_audit as rows
    where rows.user_id = of_user and rows.seq = through_seq and rows.hash = through_hash
  ) then
    raise exception 'the checkpoint is of another row than the chain holds' using errcode = 'check_violation';
  end if;
  insert into mana_ai.audit_checkpoints (user_id, seq, hash, key_id, signature)
  values (of_user, through_seq, through_hash, signing_key_id, signed);
  delete from mana_ai.decrypt_audit as rows where rows.user_id = of_user and rows.seq <= through_seq;
  get diagnostics pruned = row_count;
  perform set_config('app.current_user_id', coalesce(set_user, ''), true);
  return pruned;
end $$;

-- Erases a user's audit, checkpoints included, and the sealed rows that refer to it. Returns how many audit rows went.
create function mana_ai.erase_decrypt_audit(of_user text) returns bigint language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
declare
  set_user constant text := current_setting('app.current_user_id', true);
  erased bigint;
begin
  perform pg_advisory_xact_lock_shared(1835101792, 0);
  perform mana_ai.lock_audit_chain(of_user);
  perform set_config('app.current_user_id', of_user, true);
  delete from mana_ai.sealed_inputs as sealed where sealed.user_id = of_user;
  delete from mana_ai.decrypt_audit as rows where rows.user_id = of_user;
  get diagnostics erased = row_count;
  delete from mana_ai.audit_checkpoints as checkpoints where checkpoints.user_id = of_user;
  perform set_config('app.current_user_id', coalesce(set_user, ''), true);
  return erased;
end $$;

revoke execute on function
  mana_ai.lock_audit_chain(text),
  mana_ai.audit_prunable(text, timestamptz),
  mana_ai.prune_decrypt_audit(text, timestamptz, bigint, bytea, text, bytea),
  mana_ai.erase_decrypt_audit(text)
  from public;
