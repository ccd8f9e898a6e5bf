"""The measured figures: what replication costs, against programs that do the same duties with less."""
