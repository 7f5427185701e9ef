"""`autometa prior learn`: from the tables that a store has rows of to a prior of one's own.

The order: `own_tables` reads the rows; `plans` finds a run that was broken off, or begins one;
`candidates` trains, for each fold without its tables and then on all; `judges` measures losses;
`gates` decides; `results` keeps the new prior, and puts to use what passed; `learn` does it all.
`background` does the same after a study, and `turns` has it give way to the next. `choosing`
promotes and rolls back by hand.
"""
