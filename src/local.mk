# Floor 5: the programs. Flags, signals, wiring; no logic.
