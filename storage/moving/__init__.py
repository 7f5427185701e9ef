"""History on the move: what of a store goes into a shared file, and how it joins another store."""
