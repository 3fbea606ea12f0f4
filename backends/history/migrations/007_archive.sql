-- Dead letters that are too many for Redis, and the originals of edited ones. Nothing has written the table of this name yet.
drop table cronsole.dead_archive;
create table cronsole.dead_archive (
  namespace   text        not null,
  queue       text        not null,
  why         text        not null check (why in ('spilled', 'edited', 'trashed')),
  sequence    bigint      not null,
  run_id      text        not null,
  fingerprint text        not null,
  state       text        not null check (state in ('leaving', 'there', 'returning')),  -- between Redis and here
  move        text        not null,  -- which move is at it, or was last
  moved_at    timestamptz not null default now(),
  expires_at  timestamptz,           -- trashed: until when it can be asked back; `move` is the receipt
  head        bytea       not null,  -- what is known besides the envelope, JSON
  envelope    bytea       not null,
  primary key (namespace, queue, why, sequence)
);
create index dead_archive_group on cronsole.dead_archive (namespace, queue, fingerprint, sequence) where why = 'spilled';
create index dead_archive_run on cronsole.dead_archive (run_id);
create index dead_archive_moving on cronsole.dead_archive (namespace, queue) where state <> 'there';
create index dead_archive_trash on cronsole.dead_archive (namespace, queue, move, sequence) where why = 'trashed';
create index dead_archive_expires on cronsole.dead_archive (namespace, expires_at) where why = 'trashed';

-- How many of each error group are archived.
create table cronsole.dead_archive_groups (
  namespace   text   not null,
  queue       text   not null,
  fingerprint text   not null,
  job         text   not null,
  error_class text   not null,
  n           bigint not null,
  primary key (namespace, queue, fingerprint)
);
