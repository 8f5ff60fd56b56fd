"""Pictures and their annotations: readers, transforms, loading."""
