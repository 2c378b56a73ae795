"""Proves the bus against killed processes: writers and relays at work, SIGKILL every few seconds, then the history.

`manage.py crash_matrix` runs it, on a database of its own. This package is an app that only the processes of such a run
install: what they write is their own record of the truth, in the very transactions whose events are followed.
"""
