"""Isthmus: an integration platform for Django projects. This package is its ground floor."""

__version__ = "0.1.0"
