-- Whether a ciphertext that stands in an encrypted field of a mission itself, or of its agent, also stands in another
-- record of the user. The answer cannot change: the log only grows, and a copy that is made later is one of ours. To find
-- it takes a look at all rows of the user that the vault worker may see, so it is looked for once for each new ciphertext.
create table mana_ai.own_ciphertexts (
  user_id text not null check (user_id <> ''),
  table_name text not null,
  record_id text not null,
  -- SHA-256 over the field's text.
  sha256 bytea not null check (octet_length(sha256) = 32),
  elsewhere boolean not null,
  primary key (user_id, table_name, record_id, sha256)
);
alter table mana_ai.own_ciphertexts enable row level security;
alter table mana_ai.own_ciphertexts force row level security;
create policy own_rows on mana_ai.own_ciphertexts
  using (user_id = current_setting('app.current_user_id', true))
  with check (user_id = current_setting('app.current_user_id', true));
grant select, insert, delete on mana_ai.own_ciphertexts to mana_missions_vault;
