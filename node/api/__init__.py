"""The local interface of a running node: HTTP on loopback, for programs of this device only."""
