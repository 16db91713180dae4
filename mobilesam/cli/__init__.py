"""Command line interface: `main.py` runs a command."""
