"""Background operations: the Job row is the truth, the broker only rings the bell."""
