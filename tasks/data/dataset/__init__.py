"""Samples and the tables and data sets that hold them."""
