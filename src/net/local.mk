# Floor 3: listeners and peer links. Uses floors 0-2, libevent and OpenSSL.
