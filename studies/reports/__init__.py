"""What a person sees: studies' values as text. Nothing here prints; the command line does."""
