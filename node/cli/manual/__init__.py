"""The manual: for every command its examples, what one has to know, and its exit codes."""
