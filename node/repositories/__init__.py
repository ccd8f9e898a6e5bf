"""What the program asks of the store, in the person's words; SQL is hidden here."""
