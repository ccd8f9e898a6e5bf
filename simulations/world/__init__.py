"""Real stores on virtual devices, and what happens between them."""
