"""The running program: clock, entropy, disk, network, store, search, interfaces."""
