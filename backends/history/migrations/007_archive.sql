-- Dead letters that are too many for Redis, and the originals of edited ones. Nothing has written the table of this name yet.
drop table cronsole.dead_archive;

-- Letters lie in lists. A purge of all makes those of a queue trash, and its undo makes them dead again, at any length; what
-- is archived meanwhile begins a new one, so a queue may have several that are dead.
create table cronsole.dead_archive_lists (
  list        bigint      generated always as identity primary key,
  namespace   text        not null,
  queue       text        not null,
  why         text        not null check (why in ('spilled', 'trashed', 'expired', 'edited')),
  op          text,                  -- trashed: by whom, the receipt
  expires_at  timestamptz            -- trashed: until when it can be asked back
);
create index dead_archive_lists_of on cronsole.dead_archive_lists (namespace, queue, why);

create table cronsole.dead_archive (
  list        bigint      not null,
  sequence    bigint      not null,
  run_id      text        not null,
  fingerprint text        not null,
  state       text        not null check (state in ('leaving', 'there', 'returning')),  -- between Redis and here
  move        text        not null,  -- which move is at it, or was last; edited: the receipt
  moved_at    timestamptz not null default now(),
  head        bytea       not null,  -- what is known besides the envelope, JSON
  envelope    bytea       not null,
  primary key (list, sequence)
);
create index dead_archive_group on cronsole.dead_archive (list, fingerprint, sequence);
create index dead_archive_run on cronsole.dead_archive (run_id);
create index dead_archive_moving on cronsole.dead_archive (list) where state <> 'there';

-- How many of each error group are in a list; without those that are only about to leave Redis.
create table cronsole.dead_archive_groups (
  list        bigint not null,
  fingerprint text   not null,
  job         text   not null,
  error_class text   not null,
  n           bigint not null,
  primary key (list, fingerprint)
);
