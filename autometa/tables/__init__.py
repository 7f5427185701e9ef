"""Tables: reading any source, inferring what columns hold, and preparing rows to learn from."""
