# Floor 3: the store. Uses floors 0-2 and SQLite.
