"""What a node does when asked: one function for each operation."""
