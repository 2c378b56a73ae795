"""What outsiders read: one OpenAPI 3.1 document for each version, and pages made from it."""
