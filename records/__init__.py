"""The record API: what clients written for Salesforce read and write, under `/services/data/`."""
