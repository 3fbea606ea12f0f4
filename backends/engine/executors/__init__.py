"""How an attempt is carried out: as a command, as a Python callable in a runner, or as an HTTP call."""
