"""Annotated text on disk: fetched, read, repaired, counted, written."""
