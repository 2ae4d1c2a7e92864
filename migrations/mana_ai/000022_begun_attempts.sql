-- How often a stage of the run that needs no activity of its own (a local activity) began since it last ended in an orderly
-- way: a stage that takes its worker with it again and again is given up. Temporal counts no attempts of these.
alter table mana_ai.run_slots add column begun smallint not null default 0;
grant update (begun) on mana_ai.run_slots to mana_missions_runner;

-- So that a process can say whether the schema is the one that it was made for; ids and times of migrations are no secret.
grant select (id) on mana_ai.migrations
  to mana_missions_api, mana_missions_vault, mana_missions_runner, mana_missions_projection;
