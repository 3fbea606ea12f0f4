"""The job file: what can run, when and how. `load` is apart: only who reads a file needs it, and it is not light."""

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
]
