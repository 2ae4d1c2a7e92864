-- 000001 says which rows the runner may write; this says what may stand in them: the iterations, the next instant, or both,
-- each with its time, as the contract has it. Without it a stolen runner could write the ciphertext of any record into a
-- mission's own fields and have the vault seal it, put back a grant, or write what no device can read. It looks at the
-- inserted row alone. Safe to run again.
drop policy if exists mana_missions_runner_writes_two_fields_only on public.sync_changes;
create policy mana_missions_runner_writes_two_fields_only on public.sync_changes
  as restrictive for insert to mana_missions_runner
  with check (
    schema_version = 1
    -- A row from the future would move every device's last pull past the rows of the present.
    and created_at between clock_timestamp() - interval '1 minute' and clock_timestamp()
    and pg_column_size(data) <= 16777216 and pg_column_size(actor) <= 65536
    and case
      when jsonb_typeof(data) = 'object' and jsonb_typeof(field_meta) = 'object' and jsonb_typeof(actor) = 'object' then
        data <> '{}' and data - array['iterations', 'nextRunAt'] = '{}'
        and field_meta - array['iterations', 'nextRunAt'] = '{}'
        and (data ? 'iterations') = (field_meta ? 'iterations')
        and (data ? 'nextRunAt') = (field_meta ? 'nextRunAt')
        and coalesce(jsonb_typeof(data -> 'iterations') = 'array', not data ? 'iterations')
        and coalesce(jsonb_typeof(data -> 'nextRunAt') in ('string', 'null'), true)
        and not jsonb_path_exists(field_meta, '$.* ? (@.type() != "string")')
        and (
          select coalesce(bool_and(written ~ ('^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])'
            'T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z$')), true)
          from (values
            (data ->> 'nextRunAt'), (field_meta ->> 'iterations'), (field_meta ->> 'nextRunAt')
          ) as times (written)
        )
      else false
    end
  );
