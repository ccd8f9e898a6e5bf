"""Power cuts, kills and failing disks: what a real node's files can look like afterwards, and whether it goes on."""
