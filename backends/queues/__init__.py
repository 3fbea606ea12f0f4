"""Queues: the contract (`base`), the native one on Redis streams (`streams`), plain lists that feed it (`lists`)."""
