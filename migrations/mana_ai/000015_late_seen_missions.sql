-- A schedule written shortly before its instant may be taken up by the server only after it, and then passes over it: when to
-- look whether the run has come. Null: nothing to look at.
alter table mana_ai.mission_snapshots add column look_again_at timestamptz;
create index mission_snapshots_look_again on mana_ai.mission_snapshots (look_again_at) where look_again_at is not null;
