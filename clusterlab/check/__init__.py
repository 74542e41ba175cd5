"""Checkers: what a run, or every run, must not do."""
