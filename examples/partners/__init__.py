"""Outside systems of the demo that are told of changes: a warehouse and a CRM, the same program twice.

It shares no code with the platform: what it receives, it receives over HTTP.
"""
