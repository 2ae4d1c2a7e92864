-- The projection logs the head of every chain once a day: it is the one process that works for nobody in particular. Of
-- the audit it sees whose chain it is, where it ends and with which hash, and no more.
alter table mana_ai.projection_cursor
  add column audit_heads_logged_at timestamptz not null default '-infinity';
grant select (user_id, seq, hash) on mana_ai.decrypt_audit, mana_ai.audit_checkpoints to mana_missions_projection;
create policy projection_sees_heads on mana_ai.decrypt_audit for select to mana_missions_projection using (true);
create policy projection_sees_heads on mana_ai.audit_checkpoints for select to mana_missions_projection using (true);

-- Pages of the audit go by `seq` now (000006), and nothing asks for a user's rows by id.
drop index mana_ai.decrypt_audit_user;
drop index mana_ai.decrypt_audit_mission;
