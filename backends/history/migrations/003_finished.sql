-- Rows come in the order in which they finished, so this index is a few pages; it finds the late ends of older runs.
create index attempt_finished on cronsole.attempt using brin (finished_at) with (pages_per_range = 32, autosummarize = on);
