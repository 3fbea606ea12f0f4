"""Textual widgets that know nothing but plain data (:mod:`backends.model`)."""
