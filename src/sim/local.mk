# Floor 4: the simulator. Uses floors 0-2 and the memory store.

noinst_LTLIBRARIES += src/sim/libsim.la
src_sim_libsim_la_SOURCES = \
	src/sim/clock.c src/sim/clock.h \
	src/sim/cluster.c src/sim/cluster.h src/sim/cluster_faults.c src/sim/cluster_internal.h \
	src/sim/disk.c src/sim/disk.h \
	src/sim/history.c src/sim/history.h src/sim/history_text.c \
	src/sim/machine.c src/sim/machine.h src/sim/machine_life.c \
	src/sim/mem.c src/sim/mem.h \
	src/sim/network.c src/sim/network.h \
	src/sim/queue.c src/sim/queue.h \
	src/sim/scenario.c src/sim/scenario.h src/sim/scenario_amnesia.c src/sim/scenario_birth.c \
	src/sim/scenario_siblings.c src/sim/scenario_time.c \
	src/sim/trace.c src/sim/trace.h \
	src/sim/world.c src/sim/world.h src/sim/world_conf.h

check_PROGRAMS += tests/unit/check_sim_queue tests/unit/check_sim_clock \
	tests/unit/check_sim_network tests/unit/check_sim_disk
tests_unit_check_sim_queue_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
tests_unit_check_sim_clock_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
tests_unit_check_sim_network_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
tests_unit_check_sim_disk_LDADD = $(TEST_LIBS) $(UP_TO_SIM)

# The stories: tests of replication/ as a whole. Their golden traces are rewritten by make check UPDATE_TRACES=1.
check_PROGRAMS += tests/cluster/check_requests tests/cluster/check_scenarios
check_LTLIBRARIES += tests/lib/libgolden.la
tests_lib_libgolden_la_SOURCES = tests/lib/golden.c tests/lib/golden.h
tests_cluster_check_requests_LDADD = tests/lib/libgolden.la $(TEST_LIBS) $(UP_TO_SIM)
tests_cluster_check_scenarios_LDADD = tests/lib/libgolden.la $(TEST_LIBS) $(UP_TO_SIM)
EXTRA_DIST += tests/cluster/traces
