"""Data formats, a file each: how it is recognised, and how it is read."""
