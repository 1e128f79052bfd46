# Floor 3: listeners and peer links. Uses floors 0-2, libevent and OpenSSL.

noinst_LTLIBRARIES += src/net/libnet.la
src_net_libnet_la_SOURCES = \
	src/net/address.c src/net/address.h \
	src/net/dialer.c src/net/dialer.h \
	src/net/link.c src/net/link.h \
	src/net/listener.c src/net/listener.h \
	src/net/resolver.c src/net/resolver.h \
	src/net/socket.c src/net/socket.h
