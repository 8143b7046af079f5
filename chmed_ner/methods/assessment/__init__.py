"""Prompt assessment: what the paper's three raters judged, measured."""
