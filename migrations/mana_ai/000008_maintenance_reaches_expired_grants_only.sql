-- The policy own_rows lets everybody through to the rows of the user that is set, so also the maintenance role: narrowed.
create policy maintenance_reaches_no_more on mana_ai.mission_grants as restrictive to mana_missions_maintenance
  using (version = 'v2' and expires_at < clock_timestamp() - interval '30 days');
