-- A grant is revoked once and for ever, whoever asks. Rights keep our roles to the column; only a trigger sees what stood
-- there before, and it says no to the owner as well.
create function mana_ai.keep_revocation() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if old.revoked_at is not null and new.revoked_at is distinct from old.revoked_at then
    raise exception '%.%.revoked_at goes from null to a value once', tg_table_schema, tg_table_name
      using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger mission_grants_stay_revoked before update on mana_ai.mission_grants
  for each row execute function mana_ai.keep_revocation();

-- Of a mission's revocations the last one counts, so this one moves, but never back: also where the clock was set back.
create function mana_ai.keep_latest_revocation() returns trigger language plpgsql
  set search_path = pg_catalog, pg_temp as $$
begin
  new.revoked_at := greatest(old.revoked_at, new.revoked_at);
  return new;
end $$;
create trigger mission_revocations_keep_the_latest before update on mana_ai.mission_revocations
  for each row execute function mana_ai.keep_latest_revocation();

-- When something was opened, and in which order, is not for the process to say that opens it.
revoke insert (id, ts) on mana_ai.decrypt_audit from mana_missions_vault;
