"""Who may do what: permission sets, their assignment, API clients and their tokens."""
