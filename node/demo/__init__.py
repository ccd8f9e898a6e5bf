"""The demonstration: three real nodes on this machine pair, import, edit apart and agree."""
