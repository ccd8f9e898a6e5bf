"""The command line: what a person types, and what a script relies on."""
