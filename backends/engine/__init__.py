"""The headless engine: scheduler, worker, leases, executors. Started by `console.cli` and tests alone."""
