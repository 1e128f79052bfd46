# Floor 1: RESP2/RESP3 reader and writer. Uses base/.
