"""Starting the node with the person's session: what the system's own supervisor is told, and telling it."""
