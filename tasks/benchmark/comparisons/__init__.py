"""Ours against the peer that a user would pick: the lines of the table, their sides, their checks and their times."""
