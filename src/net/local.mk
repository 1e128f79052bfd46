# Floor 3: listeners and peer links. Uses floors 0-2, libevent and OpenSSL.

noinst_LIBRARIES += src/net/libnet.a
src_net_libnet_a_SOURCES = \
	src/net/address.c src/net/address.h \
	src/net/dialer.c src/net/dialer.h \
	src/net/link.c src/net/link.h \
	src/net/listener.c src/net/listener.h \
	src/net/resolver.c src/net/resolver.h \
	src/net/socket.c src/net/socket.h

check_PROGRAMS += tests/unit/check_net_address
tests_unit_check_net_address_LDADD = $(TEST_LIBS) $(UP_TO_NET)

check_PROGRAMS += tests/unit/check_net_dial
tests_unit_check_net_dial_LDADD = $(TEST_LIBS) $(UP_TO_NET)
tests_unit_check_net_dial_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_net_link
tests_unit_check_net_link_LDADD = $(TEST_LIBS) $(UP_TO_NET)
tests_unit_check_net_link_LDFLAGS = $(OOM_LDFLAGS)
