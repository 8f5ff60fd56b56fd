"""What `benchmark` times, a file a comparison."""
