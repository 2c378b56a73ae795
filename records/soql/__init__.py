"""SOQL: reads a query, checks it against the objects and the caller's grants, and runs it in the database.

Reference: https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql_select.htm
"""
