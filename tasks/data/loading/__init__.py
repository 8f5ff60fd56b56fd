"""From samples to batches, in an order that a seed decides."""
