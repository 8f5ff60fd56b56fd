"""Does a plugin keep the contract? For the authors of heads: `check_head("my_head")`."""

from tasks.conformance.heads import check_head

__all__ = ["check_head"]
