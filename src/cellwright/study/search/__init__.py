"""`cellwright study`: the search of hyperparameters over cells, on any task.

`hyperparameters` is what can be searched, `presets` where and how, as data in files beside it.
`results` is what a study finds. `storage` is where any number of processes keep it together, and
`claims` how they agree on who does what; `lane` is one cell's trials, `pruning` which of them are
given up early, `supply` which is next. `study` is the whole; `board` and `summary` show it,
`files` are what it leaves, `cluster` does the work on Ray.
"""
