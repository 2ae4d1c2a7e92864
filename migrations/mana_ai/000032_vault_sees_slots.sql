-- Whether a run still holds its mission: what the vault seals for one that has ended, nobody forgets until the mission's next run.
grant select (user_id, mission_id, run_id) on mana_ai.run_slots to mana_missions_vault;
