"""The schedules of the learning rate, a file each. Nothing here imports torch."""
