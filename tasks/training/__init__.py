"""The trainer, which knows no task, and what it stands on."""
