"""The mortgage bank: an outside system with a ledger of its own, reached and reaching back by HTTP only.

Start it with `python -m examples.bank --port 9101 --data .data/bank`. It shares no code with the platform.
"""
