"""The heads, a file each: its settings and its builder. Nothing here imports torch before a head is built."""

from tasks.heads._lookup import find_head, head_named, list_heads, published_detectors

__all__ = ["find_head", "head_named", "list_heads", "published_detectors"]
