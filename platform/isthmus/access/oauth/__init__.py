"""The OAuth 2.0 provider: the toolkit's storage and oauthlib's grants under Salesforce's paths, with its answers."""
