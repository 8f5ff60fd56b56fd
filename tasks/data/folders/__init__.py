"""Folders of files: what is in them, what the files are called, how new ones are written."""
