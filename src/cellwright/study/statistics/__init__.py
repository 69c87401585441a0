"""What trials and seeds can say, and how sure that is.

`trials` has what is handed in and which of it is best. `welch` tells means apart, `dealing` the
best of searches, `effects` says how far apart values are; `versus` holds every variant against a
baseline by all of them, from seeds or from whole searches, `pairs` every cell against every other.
`power` says what seeds could have shown, and how many would. `budget` is what a search finds by its
size. `space` lays out a space that was searched, `surface` models results over it, `importance`
says which hyperparameters matter, `edges` whether a range was too narrow.
`sentences` puts all of it in words.
"""
