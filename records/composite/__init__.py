"""Many things in one request: collections of records, and parts that refer to each other or stand side by side."""
