#!/bin/bash
# For a trial only: makes the two databases of the platform as mana-sync and mana-auth have them, the databases of
# Temporal, and one user for each of our processes. It runs once, on an empty volume.
# Elsewhere the platform's databases exist; what their owners run is printed by: bin/yarn db:migrate --print-platform-sql
set -euo pipefail

psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  -v temporal="$(cat /run/secrets/DATABASE_PASSWORD_TEMPORAL)" \
  -v sync_owner="$(cat /run/secrets/DATABASE_PASSWORD_SYNC_OWNER)" \
  -v auth_owner="$(cat /run/secrets/DATABASE_PASSWORD_AUTH_OWNER)" \
  -v api="$(cat /run/secrets/DATABASE_PASSWORD_API)" \
  -v vault="$(cat /run/secrets/DATABASE_PASSWORD_VAULT)" \
  -v runner="$(cat /run/secrets/DATABASE_PASSWORD_RUNNER)" \
  -v projection="$(cat /run/secrets/DATABASE_PASSWORD_PROJECTION)" \
  -v maintenance="$(cat /run/secrets/DATABASE_PASSWORD_MAINTENANCE)" <<'SQL'
create role temporal login password :'temporal';
create database temporal owner temporal;
create database temporal_visibility owner temporal;

create role mana_missions_api nologin;
create role mana_missions_vault nologin;
create role mana_missions_runner nologin;
create role mana_missions_projection nologin;
create role mana_missions_maintenance nologin;
create role missions_api login password :'api' in role mana_missions_api;
create role missions_vault login password :'vault' in role mana_missions_vault;
create role missions_runner login password :'runner' in role mana_missions_runner;
create role missions_projection login password :'projection' in role mana_missions_projection;
create role missions_maintenance login password :'maintenance' in role mana_missions_maintenance;

create role mana_sync_owner login password :'sync_owner';
create role mana_auth_owner login password :'auth_owner';
create database mana_sync owner mana_sync_owner;
create database mana_platform owner mana_auth_owner;

\connect mana_sync
set role mana_sync_owner;
\i /trial/platform-schema.sync.sql
reset role;
\connect mana_platform
set role mana_auth_owner;
\i /trial/platform-schema.auth.sql
SQL
