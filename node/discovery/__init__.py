"""Finding the other devices of a realm, and deciding whom to call where, and when."""
