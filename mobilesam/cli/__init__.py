"""The terminal: photos in, files out; `main.py` runs a command."""
