-- How often a stage of the run that needs no activity of its own (a local activity) began since it last ended in an orderly
-- way: a stage that takes its worker with it again and again is given up. Temporal counts no attempts of these.
alter table mana_ai.run_slots add column begun smallint not null default 0;
grant update (begun) on mana_ai.run_slots to mana_missions_runner;
