"""The programs that `scheduler.py` starts and measures, as text: the engine's job, and the same load for the peers.

A job's first line writes `<now> <planned>` to the file LATE_FILE, both in seconds since the epoch, or planned as ISO
text, or `-` where the program can't know it: then all of the load is planned at multiples of the period.
"""

from __future__ import annotations

TASKS = """
import os, time
def tick():
    now = time.time()
    with open(os.environ["LATE_FILE"], "a") as f:
        f.write(f"{now:.6f} {os.environ['CRONSOLE_SCHEDULED_FOR']}\\n")
"""

COMMAND = 'echo $EPOCHREALTIME $CRONSOLE_SCHEDULED_FOR >> "$LATE_FILE"'
"""For /bin/bash -c: it knows the time without starting another process."""

ENGINE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from backends.connect import settings_from_env
from backends.engine import scheduler
from backends.engine.service import EngineOptions, run_engine

class EachSecond:
    reboot = False
    def __init__(self, phase_ms):
        self.phase_ms = phase_ms
    def after(self, at):
        ms = int(at.timestamp() * 1000)
        ms += 1000 - (ms - self.phase_ms) % 1000
        return datetime.fromtimestamp(ms / 1000, UTC)

def parse(expression, timezone):  # "M H 1 1 *" carries the phase
    minute, hour = map(int, expression.split()[:2])
    return EachSecond((hour * 60 + minute) % 1000)

scheduler.parse = parse
sys.exit(run_engine(settings_from_env(), EngineOptions(jobs=Path(sys.argv[1]), slots=20), log_format="json"))
"""
"""An engine whose schedules fire each second; the phase is in ms."""

APSCHEDULER = """
import os, subprocess, sys, threading, time
from datetime import UTC, datetime, timedelta
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.triggers.cron import CronTrigger
which, kind, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
phases = [int(p) for p in sys.argv[4].split(",")]
begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
if which == "minute":
    begin = begin.replace(second=0) + timedelta(minutes=1)
runs = [0] * len(phases)  # no run is dropped, none overlaps another of its job: the n-th is planned n periods on
path = os.environ["LATE_FILE"]
def tick(n):
    now = time.time()
    planned = begin.timestamp() + phases[n] / 1000 + runs[n] * (60 if which == "minute" else 1)
    runs[n] += 1
    if kind == "command":
        env = {**os.environ, "CRONSOLE_SCHEDULED_FOR": f"{planned:.6f}"}
        subprocess.run(["/bin/bash", "-c", os.environ["BENCH_COMMAND"]], env=env)
        return
    with open(path, "a") as f:
        f.write(f"{now:.6f} {planned:.6f}\\n")
s = BackgroundScheduler(
    executors={"default": ThreadPoolExecutor(20)}, timezone=UTC,
    job_defaults={"misfire_grace_time": None, "coalesce": False},
)
for n, p in enumerate(phases):
    if which == "minute":
        s.add_job(tick, CronTrigger.from_crontab("* * * * *", UTC), args=[n])
    else:
        s.add_job(tick, "interval", seconds=1, start_date=begin + timedelta(milliseconds=p), args=[n])
s.start()
print("ready", flush=True)
time.sleep(seconds)
os._exit(0)
"""

CELERY = """
import os, subprocess, time
from celery import Celery
from celery.schedules import crontab, schedule
app = Celery("late", broker=os.environ["BENCH_BROKER"])
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True)
@app.task
def tick():
    now = time.time()
    if os.environ["BENCH_KIND"] == "command":
        env = {**os.environ, "CRONSOLE_SCHEDULED_FOR": "-"}
        subprocess.run(["/bin/bash", "-c", os.environ["BENCH_COMMAND"]], env=env)
        return
    with open(os.environ["LATE_FILE"], "a") as f:
        f.write(f"{now:.6f} -\\n")
when = crontab() if os.environ["BENCH_WHICH"] == "minute" else schedule(1.0, relative=True)
app.conf.beat_schedule = {
    f"t{n}": {"task": "late.tick", "schedule": when} for n in range(int(os.environ["BENCH_COUNT"]))
}
"""

APS_IDLE = """
import sys, time
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
lines = [line.rstrip().split("|") for line in sys.stdin]
began = time.perf_counter()
s = BackgroundScheduler(timezone="UTC")
for expression, zone in lines:
    s.add_job(print, CronTrigger.from_crontab(expression, zone))
s.start()
print(f"{time.perf_counter() - began:.3f}", flush=True)
time.sleep(600)
"""

BEAT_IDLE = """
import os, sys, time
from celery import Celery
from celery.beat import Scheduler
from celery.schedules import crontab
lines = [line.rstrip().split("|") for line in sys.stdin]
app = Celery("idle", broker=os.environ["BENCH_BROKER"])
began = time.perf_counter()
entries = {}
for n, (expression, zone) in enumerate(lines):
    minute, hour, day, month, weekday = expression.split()
    entries[f"t{n}"] = {
        "task": "idle.tick",
        "schedule": crontab(minute, hour, day_of_month=day, month_of_year=month, day_of_week=weekday),
    }
app.conf.beat_schedule = entries
s = Scheduler(app)
delay = s.tick()
print(f"{time.perf_counter() - began:.3f}", flush=True)
while True:  # as celery.beat.Service.start does
    time.sleep(delay)
    delay = s.tick()
"""
"""Beat without its shelve file. Its crontab takes one zone for all: the zones of the load are left out."""
