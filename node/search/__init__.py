"""Finding what the person remembers by what they ask for."""
