import type { Client } from 'pg';

/**
 * What the service before ours does to database mana_sync at each of its starts, as a superuser (docs/platform.md section 13).
 *
 * @param client connected as a superuser
 */
export async function startServiceBefore(client: Client): Promise<void> {
  for (const statement of STATEMENTS) await client.query(statement);
}

const STATEMENTS = [
  'create schema if not exists mana_ai',
  `create table if not exists mana_ai.mission_snapshots (
     user_id text not null, mission_id text not null, record jsonb not null,
     last_applied_at timestamptz, updated_at timestamptz not null default now(), primary key (user_id, mission_id))`,
  `create table if not exists mana_ai.agent_snapshots (
     user_id text not null, agent_id text not null, record jsonb not null,
     last_applied_at timestamptz, updated_at timestamptz not null default now(), primary key (user_id, agent_id))`,
  `create table if not exists mana_ai.decrypt_audit (
     id bigserial primary key, user_id text not null, mission_id text not null, iteration_id text,
     table_name text not null, record_id text not null,
     status text not null check (status in ('ok', 'failed', 'scope-violation')), reason text,
     ts timestamptz not null default now())`,
  'create index if not exists idx_decrypt_audit_mission on mana_ai.decrypt_audit (user_id, mission_id, ts desc)',
  'alter table mana_ai.decrypt_audit enable row level security',
  'drop policy if exists decrypt_audit_user_scope on mana_ai.decrypt_audit',
  `create policy decrypt_audit_user_scope on mana_ai.decrypt_audit
     using (user_id = current_setting('app.current_user_id', true))`,
  `create table if not exists mana_ai.mission_research_jobs (
     user_id text not null, mission_id text not null, task_id text not null, provider_id text not null,
     submitted_at timestamptz not null default now(), last_polled_at timestamptz, primary key (user_id, mission_id))`,
  `create table if not exists mana_ai.token_usage (
     id bigserial primary key, user_id text not null, agent_id text, mission_id text not null, tokens_used integer not null,
     ts timestamptz not null default now())`,
];

/** What it writes while it works: `count` audit rows of three users in turn, and one row in each of its other tables. */
export async function workAsServiceBefore(client: Client, count: number): Promise<void> {
  await client.query(
    `insert into mana_ai.decrypt_audit (user_id, mission_id, iteration_id, table_name, record_id, status, reason)
     select 'user-' || n % 3, 'm' || n % 2, case when n % 2 = 0 then 'it' end, 'notes', 'r' || n,
            (array['ok', 'failed', 'scope-violation'])[1 + n % 3], case when n % 3 = 1 then 'decrypt-failed' end
     from generate_series(1, $1::integer) as n`,
    [count],
  );
  await client.query(`insert into mana_ai.mission_snapshots (user_id, mission_id, record) values ('user-0', 'm0', '{"title":"T"}')`);
  await client.query(`insert into mana_ai.agent_snapshots (user_id, agent_id, record) values ('user-0', 'a0', '{"name":"A"}')`);
  await client.query(
    `insert into mana_ai.mission_research_jobs (user_id, mission_id, task_id, provider_id)
     values ('user-0', 'm0', 'task-of-before', 'gemini-deep-research-max'), ('user-1', 'm1', '', 'gemini-deep-research')`,
  );
  await client.query(`insert into mana_ai.token_usage (user_id, mission_id, tokens_used) values ('user-0', 'm0', 4120)`);
} // prettier-ignore
