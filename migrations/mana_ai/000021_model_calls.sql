-- One row for each call of the model: the request, before it is sent; the reply as it came, before anything is read into it;
-- what a round made of it. All three encrypted, and deleted with the run. A failure after the reply is there repeats the
-- reading, never the call. Takes the place of run_transcripts, which is still read for runs that began before.
create table mana_ai.model_calls (
  user_id text not null check (user_id <> ''),
  iteration_id text not null,
  -- Tells the key that encrypts the row: what another key opens stands beside it, and is never deleted for not opening.
  key_id bytea not null check (octet_length(key_id) = 8),
  round integer not null check (round >= 1),
  purpose text not null check (purpose in ('plan', 'compact')),
  mission_id text not null,
  request bytea,
  reply bytea,
  entry bytea,
  -- Since the call was prepared: answers of the gateway, or broken connections, that brought no reply; refusals among them;
  -- replies that held nothing to read.
  failures integer not null default 0,
  refusals integer not null default 0,
  unreadable integer not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  primary key (user_id, iteration_id, key_id, round, purpose)
);
create index model_calls_mission on mana_ai.model_calls (user_id, mission_id);
alter table mana_ai.model_calls enable row level security;
alter table mana_ai.model_calls force row level security;
create policy own_rows on mana_ai.model_calls
  using (user_id = current_setting('app.current_user_id', true))
  with check (user_id = current_setting('app.current_user_id', true));
grant select, insert, delete on mana_ai.model_calls to mana_missions_runner;
grant update (request, reply, entry, failures, refusals, unreadable) on mana_ai.model_calls to mana_missions_runner;

-- A run key is replaced by comparing it with the one that was read, never deleted first.
grant update (wrapped_key) on mana_ai.run_keys to mana_missions_runner;

-- Whatever figure a gateway sends is clamped to what these hold.
alter table mana_ai.token_usage
  alter column prompt_tokens type bigint,
  alter column completion_tokens type bigint,
  alter column total_tokens type bigint;
