-- Missions without an agent, and those whose agent does not exist, have one budget for each user: agent null.
alter table mana_ai.budget_reservations alter column agent_id drop not null;
