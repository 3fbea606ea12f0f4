"""The sample jobs of `cronsole demo`."""
