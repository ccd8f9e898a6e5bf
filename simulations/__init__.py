"""Many real stores in one process, handed every order of events that a network and a person can make."""
