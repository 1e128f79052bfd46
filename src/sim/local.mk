# Floor 4: the simulator. Uses floors 0-2 and the memory store.

noinst_LTLIBRARIES += src/sim/libsim.la
src_sim_libsim_la_SOURCES = \
	src/sim/clock.c src/sim/clock.h \
	src/sim/disk.c src/sim/disk.h \
	src/sim/mem.c src/sim/mem.h \
	src/sim/network.c src/sim/network.h \
	src/sim/queue.c src/sim/queue.h

check_PROGRAMS += tests/unit/check_sim_queue tests/unit/check_sim_clock \
	tests/unit/check_sim_network tests/unit/check_sim_disk
tests_unit_check_sim_queue_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
tests_unit_check_sim_clock_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
tests_unit_check_sim_network_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
tests_unit_check_sim_disk_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
