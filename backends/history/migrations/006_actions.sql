-- An action has a receipt, by which it can be undone; what an outbox brought a second time is known by its key.
alter table cronsole.action add column receipt text, add column note text not null default '', add column key uuid;
create unique index action_key on cronsole.action (key);
create index action_receipt on cronsole.action (receipt) where receipt is not null;

-- "Replayed as …": few attempts are replays.
create index attempt_replay on cronsole.attempt (replay_of, run_id desc, attempt desc) where replay_of is not null;
create index attempt_keep_replay on cronsole.attempt_keep (replay_of, run_id desc, attempt desc) where replay_of is not null;

-- The runs of an error group; by queue and job they are few enough to be looked through.
create index attempt_group on cronsole.attempt (fingerprint, run_id desc, attempt desc) where fingerprint is not null;
create index attempt_keep_group on cronsole.attempt_keep (fingerprint, run_id desc, attempt desc) where fingerprint is not null;
