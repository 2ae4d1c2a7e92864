-- A round's tokens are reserved before it is asked and settled by its usage. Reservations carry the run and never expire:
-- who finds one asks Temporal whether that run is still open (architecture section 4).
create table mana_ai.budget_reservations (
  user_id text not null check (user_id <> ''),
  iteration_id text not null,
  round integer not null check (round >= 1),
  purpose text not null check (purpose in ('plan', 'compact')),
  mission_id text not null,
  agent_id text not null,
  workflow_id text not null,
  run_id text not null,
  -- The most that the round may cost, as far as the budget had it.
  reserved_tokens bigint not null check (reserved_tokens >= 0),
  -- What it probably costs: counted as spent if nobody ever learns the real figure.
  estimated_tokens bigint not null check (estimated_tokens >= 0),
  reserved_at timestamptz not null default clock_timestamp(),
  primary key (user_id, iteration_id, round, purpose)
);
create index budget_reservations_agent on mana_ai.budget_reservations (user_id, agent_id);
alter table mana_ai.budget_reservations enable row level security;
alter table mana_ai.budget_reservations force row level security;
create policy own_rows on mana_ai.budget_reservations
  using (user_id = current_setting('app.current_user_id', true))
  with check (user_id = current_setting('app.current_user_id', true));
grant select, insert, delete on mana_ai.budget_reservations to mana_missions_runner;
create policy sweep_sees_all on mana_ai.budget_reservations for select to mana_missions_runner using (true);

-- What a round's tokens were spent on: planning, compacting the transcript, or a call whose reply nobody saw. The last is
-- an estimate, and a round may have both.
alter table mana_ai.token_usage
  add column purpose text not null default 'plan' check (purpose in ('plan', 'compact', 'unknown'));
alter table mana_ai.token_usage drop constraint token_usage_pkey;
alter table mana_ai.token_usage add primary key (user_id, iteration_id, round, purpose);
-- Unknown spend of a round may grow: each crash adds its estimate.
grant update (total_tokens, recorded_at) on mana_ai.token_usage to mana_missions_runner;
-- The API shows a run's tokens.
grant select (user_id, iteration_id, round, purpose, mission_id, total_tokens, recorded_at)
  on mana_ai.token_usage to mana_missions_api;
