"""The audit trail: who did, changed, used or was refused what; append-only and hash-chained."""
