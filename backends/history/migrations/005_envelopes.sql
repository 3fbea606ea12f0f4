-- The envelope of each run that came to an end, so that it can be replayed; byte for byte, it need not be JSON.
create table cronsole.run_envelope (
  run_id   uuid  not null,
  attempt  int   not null,  -- a final one
  envelope bytea not null,
  primary key (run_id, attempt)
) partition by range (run_id);
create table cronsole.run_envelope_late partition of cronsole.run_envelope default;
create table cronsole.run_envelope_keep (like cronsole.run_envelope including defaults, primary key (run_id, attempt));
