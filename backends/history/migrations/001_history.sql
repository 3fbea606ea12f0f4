-- Runs, fires and what operators did. Days are UTC; run ids are UUIDv7, so a range of run ids is a range of time.

create function cronsole.v7_floor(t timestamptz) returns uuid language sql immutable strict as $$
  select (lpad(to_hex((extract(epoch from t) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

create table cronsole.attempt (
  run_id        uuid             not null,
  attempt       int              not null,
  job           text             not null,
  queue         text             not null,
  outcome       text             not null,
  final         boolean          not null,  -- nothing follows unless someone replays
  orphan        boolean          not null,  -- the queue was flushed while it ran
  trigger       text             not null,
  scheduled_for timestamptz,
  enqueued_at   timestamptz,
  started_at    timestamptz,
  finished_at   timestamptz      not null,
  duration_ms   double precision,
  worker        text,
  exit_code     int,
  error_class   text,
  error         text,
  fingerprint   text,
  result        text,
  producer_id   text,
  operator      text,
  replay_of     text,
  max_rss_kb    bigint,
  cpu_ms        bigint,
  primary key (run_id, attempt)
) partition by range (run_id);

create table cronsole.attempt_late partition of cronsole.attempt default;
create index attempt_job on cronsole.attempt (job, run_id desc, attempt desc, outcome);  -- rare successes: decision 004
create index attempt_bad on cronsole.attempt (run_id desc) where outcome <> 'succeeded';

-- Failures outlive the day they belong to.
create table cronsole.attempt_keep (like cronsole.attempt including defaults, primary key (run_id, attempt));
create index attempt_keep_job on cronsole.attempt_keep (job, run_id desc, attempt desc, outcome);

create table cronsole.run_log (
  run_id  uuid not null,
  attempt int  not null,
  output  text not null,  -- the tail
  primary key (run_id, attempt)
) partition by range (run_id);
create table cronsole.run_log_late partition of cronsole.run_log default;

-- Per minute; counted from the attempts that were really inserted, so a redelivery changes nothing.
create table cronsole.rollup (
  at      timestamptz      not null,
  job     text             not null,
  queue   text             not null,
  outcome text             not null,
  n       bigint           not null,
  sum_ms  double precision not null,
  max_ms  double precision not null,
  hist    bigint[]         not null,  -- bucket 0: below 1 ms; k: 2^(k-1) to 2^k ms
  primary key (at, job, queue, outcome)
);

create table cronsole.schedule_fire (
  job        text        not null,
  planned_at timestamptz not null,
  result     text        not null check (result in ('fired', 'skipped', 'missed')),
  reason     text,
  run_id     uuid,
  scheduler  text        not null,
  decided_at timestamptz not null,
  primary key (job, planned_at)
) partition by range (planned_at);
create table cronsole.schedule_fire_late partition of cronsole.schedule_fire default;
create index schedule_fire_at on cronsole.schedule_fire (planned_at desc);

create table cronsole.schedule_mark (
  job       text primary key,
  last_fire timestamptz not null
);

create table cronsole.schedule (
  job          text primary key,
  spec         jsonb       not null,
  revision     int         not null default 1,
  override     jsonb       not null default '{}',
  published_by text        not null,
  published_at timestamptz not null default now(),
  removed_at   timestamptz
);

create table cronsole.dead_archive (
  run_id      uuid        not null,
  sequence    bigint      not null,
  job         text        not null,
  queue       text        not null,
  fingerprint text        not null,
  died_at     timestamptz not null,
  why         text        not null,
  record      bytea       not null,
  primary key (run_id, sequence)
);

create table cronsole.action (
  id      bigint generated always as identity primary key,
  at      timestamptz not null default now(),
  who     text        not null,
  verb    text        not null,
  target  jsonb       not null,
  matched int         not null,
  changed int         not null
);

create table cronsole.incident (
  id     bigint generated always as identity primary key,
  at     timestamptz not null default now(),
  kind   text        not null,
  detail text        not null
);

create function cronsole.add_partition(parent text, day date, by_run_id boolean) returns boolean language plpgsql as $$
declare
  name text := parent || '_' || to_char(day, 'YYYYMMDD');
  low timestamptz := day::timestamp at time zone 'UTC';
  high timestamptz := (day + 1)::timestamp at time zone 'UTC';
  column_name text := case when by_run_id then 'run_id' else 'planned_at' end;
  low_text text := case when by_run_id then cronsole.v7_floor(low)::text else low::text end;
  high_text text := case when by_run_id then cronsole.v7_floor(high)::text else high::text end;
begin
  if to_regclass('cronsole.' || name) is not null then return false; end if;
  -- Rows that came before their partition move into it: it could not be attached while the default has them.
  execute format('create table cronsole.%I (like cronsole.%I including defaults including constraints)', name, parent);
  execute format('with moved as (delete from cronsole.%I where %I >= %L and %I < %L returning *) insert into cronsole.%I select * from moved',
    parent || '_late', column_name, low_text, column_name, high_text, name);
  execute format('alter table cronsole.%I attach partition cronsole.%I for values from (%L) to (%L)', parent, name, low_text, high_text);
  return true;
end $$;
