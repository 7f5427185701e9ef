"""How the store fares when it is large, and when many write to it at once."""
