-- What was printed by a kept failure is kept with it.
create table cronsole.run_log_keep (like cronsole.run_log including defaults, primary key (run_id, attempt));

create function cronsole.v7_day(id uuid) returns date language sql immutable strict as $$
  select (to_timestamp((('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint) / 1000.0) at time zone 'UTC')::date
$$;

-- As before, but nobody can write into the default partition between the move and the attachment, which would fail then.
create or replace function cronsole.add_partition(parent text, day date, by_run_id boolean) returns boolean
language plpgsql as $$
declare
  name text := parent || '_' || to_char(day, 'YYYYMMDD');
  low timestamptz := day::timestamp at time zone 'UTC';
  high timestamptz := (day + 1)::timestamp at time zone 'UTC';
  column_name text := case when by_run_id then 'run_id' else 'planned_at' end;
  low_text text := case when by_run_id then cronsole.v7_floor(low)::text else low::text end;
  high_text text := case when by_run_id then cronsole.v7_floor(high)::text else high::text end;
begin
  if to_regclass('cronsole.' || name) is not null then return false; end if;
  execute format('lock table cronsole.%I in share row exclusive mode', parent || '_late');
  execute format('create table cronsole.%I (like cronsole.%I including defaults including constraints)', name, parent);
  execute format('with moved as (delete from cronsole.%I where %I >= %L and %I < %L returning *) insert into cronsole.%I select * from moved',
    parent || '_late', column_name, low_text, column_name, high_text, name);
  execute format('alter table cronsole.%I attach partition cronsole.%I for values from (%L) to (%L)', parent, name, low_text, high_text);
  return true;
end $$;
