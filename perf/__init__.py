"""Measurements. Nothing here is installed; see README.md."""
