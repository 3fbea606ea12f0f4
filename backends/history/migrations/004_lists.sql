-- Every page that a list offers is one walk along an index: by queue, by outcome, and by both with a job.
create index attempt_queue on cronsole.attempt (queue, run_id desc, attempt desc, outcome);
drop index cronsole.attempt_bad;
create index attempt_bad on cronsole.attempt (outcome, run_id desc, attempt desc) where outcome <> 'succeeded';
create index attempt_bad_job on cronsole.attempt (job, outcome, run_id desc, attempt desc) where outcome <> 'succeeded';
create index attempt_bad_queue on cronsole.attempt (queue, outcome, run_id desc, attempt desc) where outcome <> 'succeeded';

create index attempt_keep_queue on cronsole.attempt_keep (queue, run_id desc, attempt desc, outcome);
create index attempt_keep_bad on cronsole.attempt_keep (outcome, run_id desc, attempt desc);
create index attempt_keep_bad_job on cronsole.attempt_keep (job, outcome, run_id desc, attempt desc);
