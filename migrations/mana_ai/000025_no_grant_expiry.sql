-- Nothing writes or reads it: whether a grant has expired is asked of the grant.
alter table mana_ai.mission_snapshots drop column grant_expires_at;
