"""Moving history between stores: as one file, and from other tools."""
