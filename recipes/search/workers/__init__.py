"""The processes of a search: the chief, which owns the oracle, and its workers."""
