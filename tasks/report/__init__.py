"""HTML pages that hold everything they show."""

from tasks.report.page import image_page

__all__ = ["image_page"]
