# Floor 4: the simulator. Uses floors 0-2 and the memory store.
