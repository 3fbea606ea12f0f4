"""The job file: what can run, when and how. Load it, check it, hand it on."""

from backends.jobs.load import load, load_text
from backends.jobs.problems import JobFileError, Problem
from backends.jobs.spec import Backoff, BackoffKind, HttpSpec, JobFile, JobKind, JobSpec, QueueSpec

__all__ = [
    "Backoff",
    "BackoffKind",
    "HttpSpec",
    "JobFile",
    "JobFileError",
    "JobKind",
    "JobSpec",
    "Problem",
    "QueueSpec",
    "load",
    "load_text",
]
