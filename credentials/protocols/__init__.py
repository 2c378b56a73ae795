"""Authentication protocols, one file each. They yield requests, receive responses and do no I/O of their own."""
