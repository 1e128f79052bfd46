# Floor 4: clients, commands, configuration. Uses floors 0-3 and libevent.
