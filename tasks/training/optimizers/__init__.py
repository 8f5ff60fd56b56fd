"""The optimizers, a file each: its settings and its builder. Nothing here imports torch before one is built."""
