"""What the simulated people and programs do: random transactions over any declared tables."""
