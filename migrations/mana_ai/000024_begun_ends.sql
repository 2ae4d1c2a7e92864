-- As `begun`, for what ends a run: writing its outcome, and letting go of the mission. A count of its own, because a worker that
-- dies of it takes the unreported stage before along, which then is done once more and must not begin the count anew.
alter table mana_ai.run_slots add column ends_begun smallint not null default 0;
grant update (ends_begun) on mana_ai.run_slots to mana_missions_runner;
