"""What guards signing in: lock-outs, a second factor, sessions that end."""
