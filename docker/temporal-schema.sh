#!/bin/sh
# Creates or updates the schema of Temporal's two databases. Running it again changes nothing.
set -eu

SQL_PASSWORD=$(cat /run/secrets/DATABASE_PASSWORD_TEMPORAL)
export SQL_PASSWORD SQL_PLUGIN=postgres12 SQL_HOST=postgresql SQL_PORT=5432 SQL_USER=temporal

update() {
  database=$1
  schema=$2
  # Fails where the version table exists already; update-schema tells whether all is well.
  SQL_DATABASE=$database temporal-sql-tool setup-schema -v 0.0 || true
  SQL_DATABASE=$database temporal-sql-tool update-schema -d "/etc/temporal/schema/postgresql/v12/$schema/versioned"
}

update temporal temporal
update temporal_visibility visibility
