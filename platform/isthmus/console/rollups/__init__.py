"""What happened, in numbers a period: counts by kind and durations as histograms, so that no chart reads raw rows.

Apps register series (`series`), a job of the platform rolls their raw rows up (`rolling`), pages read (`reading`).
"""
