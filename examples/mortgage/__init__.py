"""The demo's own Django app: what a team that uses the platform would write. It stands beside the platform's apps.

Leads ask for a mortgage; each request goes to the bank; the bank's answer comes back later and turns into a Contact,
an Opportunity and an event. Nothing here is known to the platform, which finds it through `ISTHMUS_APPS`.
"""
