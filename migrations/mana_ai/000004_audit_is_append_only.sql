-- Rights already keep our roles from changing the audit log; the trigger says no to its owner as well.
create function mana_ai.refuse_audit_change() returns trigger language plpgsql as $$
begin
  raise exception 'mana_ai.decrypt_audit is append-only: % is not allowed', lower(tg_op)
    using errcode = 'insufficient_privilege';
end $$;

create trigger decrypt_audit_is_append_only
  before update or delete or truncate on mana_ai.decrypt_audit
  for each statement execute function mana_ai.refuse_audit_change();
