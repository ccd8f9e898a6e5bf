"""What a person can set: which settings there are, the file that keeps them, and which value counts."""
