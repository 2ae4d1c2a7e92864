-- Where a read-back of more than one page goes on, and how far back it began: from its beginning each page would pass over
-- all those before.
alter table mana_ai.projection_cursor
  add column page_back_ms bigint,
  add column page_end_at timestamptz,
  add column page_end_id uuid;
