# Tests of real servers, seen from outside: hiredis, redis-cli, and our own reader of replies.
#
# redis-tests/lib: cluster.h starts and kills servers, client.h talks to them, load.h writes and remembers what was
# acknowledged, proc.h has processes, ports and WAIT_FOR, run.h runs a program's tests. A test waits for states, never for times. Each test
# program takes its ports so that any number of them can run side by side. By hand, in the folder of the build:
#
#   TOP_SRCDIR=.. TOP_BUILDDIR=$PWD redis-tests/check_faults

check_LIBRARIES += redis-tests/lib/libredistest.a
redis_tests_lib_libredistest_a_SOURCES = \
	redis-tests/lib/client.c redis-tests/lib/client.h \
	redis-tests/lib/cluster.c redis-tests/lib/cluster.h \
	redis-tests/lib/lab.c redis-tests/lib/lab.h \
	redis-tests/lib/load.c redis-tests/lib/load.h \
	redis-tests/lib/proc.c redis-tests/lib/proc.h \
	redis-tests/lib/random_command.c redis-tests/lib/random_command.h \
	redis-tests/lib/run.c redis-tests/lib/run.h \
	redis-tests/lib/shop.c redis-tests/lib/shop.h \
	redis-tests/lib/show.c redis-tests/lib/show.h

REDIS_TEST_LIBS = redis-tests/lib/libredistest.a $(TEST_LIBS) $(UP_TO_RESP) $(HIREDIS_LIBS) -lpthread

check_PROGRAMS += redis-tests/check_connection
redis_tests_check_connection_LDADD = $(REDIS_TEST_LIBS)

check_PROGRAMS += redis-tests/check_strings
redis_tests_check_strings_LDADD = $(REDIS_TEST_LIBS)

check_PROGRAMS += redis-tests/check_dyn
redis_tests_check_dyn_LDADD = $(REDIS_TEST_LIBS)

check_PROGRAMS += redis-tests/check_differential
redis_tests_check_differential_LDADD = $(REDIS_TEST_LIBS)

check_PROGRAMS += redis-tests/check_differential_random
redis_tests_check_differential_random_LDADD = $(REDIS_TEST_LIBS)

check_PROGRAMS += redis-tests/check_increments
redis_tests_check_increments_LDADD = $(REDIS_TEST_LIBS)

check_PROGRAMS += redis-tests/check_faults
redis_tests_check_faults_LDADD = $(REDIS_TEST_LIBS)

check_PROGRAMS += redis-tests/check_outages
redis_tests_check_outages_LDADD = $(REDIS_TEST_LIBS)

# Faults of the network, in namespaces: a short version in `make check`, the long one by itself.
check_PROGRAMS += redis-tests/check_netfaults
redis_tests_check_netfaults_LDADD = $(REDIS_TEST_LIBS)
redis-tests/lib/skew.so: redis-tests/lib/skew.c
	$(AM_V_CC)$(CC) -std=gnu11 -O2 -Wall -fPIC -shared -o $@ $<
EXTRA_DIST += redis-tests/lib/skew.c
CLEANFILES += redis-tests/lib/skew.so
check-faults: redis-tests/check_netfaults redis-tests/lib/skew.so src/redynamo-server
	TOP_SRCDIR='$(abs_top_srcdir)' TOP_BUILDDIR='$(abs_top_builddir)' FAULTS=long \
		redis-tests/check_netfaults
.PHONY: check-faults

check_PROGRAMS += redis-tests/check_membership
redis_tests_check_membership_LDADD = $(REDIS_TEST_LIBS)

check_PROGRAMS += redis-tests/check_peers
redis_tests_check_peers_LDADD = $(REDIS_TEST_LIBS)

check_PROGRAMS += redis-tests/check_topology
redis_tests_check_topology_LDADD = $(REDIS_TEST_LIBS)

check_PROGRAMS += redis-tests/check_libraries
redis_tests_check_libraries_LDADD = $(REDIS_TEST_LIBS)
EXTRA_DIST += redis-tests/clients/redis_py.py redis-tests/clients/node.js redis-tests/clients/package.json

check_PROGRAMS += redis-tests/check_scan
redis_tests_check_scan_LDADD = $(REDIS_TEST_LIBS)

check_PROGRAMS += redis-tests/check_disk
redis_tests_check_disk_LDADD = $(REDIS_TEST_LIBS)

check_PROGRAMS += redis-tests/check_startup
redis_tests_check_startup_LDADD = $(REDIS_TEST_LIBS)

check_PROGRAMS += redis-tests/check_protocol
redis_tests_check_protocol_LDADD = $(REDIS_TEST_LIBS)
