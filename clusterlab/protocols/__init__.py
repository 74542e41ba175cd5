"""Protocols: one file is one paper or one idea, readable from top to bottom on its own."""
