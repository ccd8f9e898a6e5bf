"""The encrypted libSQL store: capture, change log, row state, merge, snapshot."""
