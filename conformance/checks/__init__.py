"""The checks, a file for each group. A file ends with its `CHECKS`; `catalogue.py` joins them."""
