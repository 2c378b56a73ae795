"""The standard objects: Account, Contact, Lead, Opportunity, Order, Case."""
