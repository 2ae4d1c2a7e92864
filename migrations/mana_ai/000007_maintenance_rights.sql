-- What the chain of the audit and the operator's commands need. The maintenance role reads ids, times and hashes: no
-- column that holds content, sealed or not, is granted to it.
alter table mana_ai.audit_checkpoints enable row level security;
alter table mana_ai.audit_checkpoints force row level security;
create policy own_rows on mana_ai.audit_checkpoints
  using (user_id = current_setting('app.current_user_id', true))
  with check (user_id = current_setting('app.current_user_id', true));

-- The API returns the head of the caller's chain.
grant select (user_id, seq, hash) on mana_ai.audit_checkpoints to mana_missions_api;

-- The vault worker inserts the contract's columns; the chain's are set by the trigger.
revoke select, insert on mana_ai.decrypt_audit from mana_missions_vault;
grant select (id, user_id, mission_id, iteration_id, table_name, record_id, status)
  on mana_ai.decrypt_audit to mana_missions_vault;
grant insert (id, user_id, mission_id, iteration_id, table_name, record_id, status, reason, ts)
  on mana_ai.decrypt_audit to mana_missions_vault;

grant usage on schema mana_ai to mana_missions_maintenance;
grant select on mana_ai.decrypt_audit, mana_ai.audit_checkpoints to mana_missions_maintenance;
create policy maintenance_reads_all on mana_ai.decrypt_audit for select to mana_missions_maintenance using (true);
create policy maintenance_reads_all on mana_ai.audit_checkpoints for select to mana_missions_maintenance using (true);
grant execute on function
  mana_ai.audit_prunable(text, timestamptz),
  mana_ai.prune_decrypt_audit(text, timestamptz, bigint, bytea, text, bytea),
  mana_ai.erase_decrypt_audit(text)
  to mana_missions_maintenance;

-- Mint-log rows may go 30 days after their grant has expired, those of v2 grants only: without its row a v2 grant opens
-- nothing, but a v1 grant would count as one that another service minted, with whatever times it claims.
grant select (version, expires_at), delete on mana_ai.mission_grants to mana_missions_maintenance;
create policy maintenance_reads_expired on mana_ai.mission_grants for select to mana_missions_maintenance
  using (version = 'v2' and expires_at < clock_timestamp() - interval '30 days');
create policy maintenance_deletes_expired on mana_ai.mission_grants for delete to mana_missions_maintenance
  using (version = 'v2' and expires_at < clock_timestamp() - interval '30 days');
