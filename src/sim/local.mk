# Floor 4: the simulator. Uses floors 0-2 and the memory store.

noinst_LIBRARIES += src/sim/libsim.a
src_sim_libsim_a_SOURCES = \
	src/sim/check_accepted.c src/sim/check_acknowledged.c \
	src/sim/check_antientropy.c \
	src/sim/check_dots.c src/sim/check_dots.h \
	src/sim/check_identical.c \
	src/sim/check_kept.c src/sim/check_kept.h \
	src/sim/check_left.c src/sim/check_left.h \
	src/sim/check_quorum.c \
	src/sim/check_reaped.c \
	src/sim/check_scan.c \
	src/sim/check_siblings.c \
	src/sim/check_sums.c \
	src/sim/clock.c src/sim/clock.h \
	src/sim/cluster.c src/sim/cluster.h src/sim/cluster_faults.c src/sim/cluster_internal.h \
	src/sim/disk.c src/sim/disk.h \
	src/sim/experiment.c src/sim/experiment.h src/sim/experiment_availability.c src/sim/experiment_split.c \
	src/sim/experiment_drops.c src/sim/experiment_failures.c src/sim/experiment_latency.c src/sim/experiment_list.c \
	src/sim/experiment_quorum.c src/sim/experiment_repair.c src/sim/experiment_scale.c \
	src/sim/experiment_staleness.c src/sim/experiment_sync.c src/sim/experiment_anti_entropy.c \
	src/sim/faults.c src/sim/faults.h src/sim/faults_disk.c src/sim/faults_internal.h \
	src/sim/fuzz.c src/sim/fuzz.h \
	src/sim/history.c src/sim/history.h src/sim/history_text.c \
	src/sim/jobs.c src/sim/jobs.h \
	src/sim/judge.c src/sim/judge.h \
	src/sim/lab.c src/sim/lab_disk.c src/sim/lab_disk.h src/sim/lab.h \
	src/sim/load.c src/sim/load.h \
	src/sim/losses.c src/sim/losses.h \
	src/sim/machine.c src/sim/machine.h src/sim/machine_life.c \
	src/sim/mem.c src/sim/mem.h \
	src/sim/network.c src/sim/network.h \
	src/sim/pbs.c src/sim/pbs.h \
	src/sim/plan.c src/sim/plan.h \
	src/sim/plot.c src/sim/plot.h \
	src/sim/queue.c src/sim/queue.h \
	src/sim/results.c src/sim/results.h \
	src/sim/scenario.c src/sim/scenario.h src/sim/scenario_amnesia.c src/sim/scenario_background.c src/sim/scenario_disks.c src/sim/scenario_birth.c \
	src/sim/scenario_clients.c src/sim/scenario_clients.h src/sim/scenario_cuts.c src/sim/scenario_failure.c src/sim/scenario_hints.c src/sim/scenario_reap.c src/sim/scenario_repair.c src/sim/scenario_rmw.c src/sim/scenario_wiped.c \
	src/sim/scenario_siblings.c src/sim/scenario_time.c \
	src/sim/stored.c src/sim/stored.h \
	src/sim/sums.c src/sim/sums.h \
	src/sim/trace.c src/sim/trace.h \
	src/sim/workload.c src/sim/workload.h \
	src/sim/world.c src/sim/world.h src/sim/world_conf.h

bin_PROGRAMS += src/redynamo-sim
src_redynamo_sim_SOURCES = src/redynamo-sim.c
src_redynamo_sim_LDADD = $(UP_TO_SIM)

check_PROGRAMS += tests/unit/check_sim_queue tests/unit/check_sim_clock \
	tests/unit/check_sim_network tests/unit/check_sim_disk tests/unit/check_experiment
tests_unit_check_sim_queue_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
tests_unit_check_sim_clock_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
tests_unit_check_sim_network_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
tests_unit_check_sim_disk_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
tests_unit_check_experiment_LDADD = $(TEST_LIBS) $(UP_TO_SIM)

check_PROGRAMS += tests/unit/check_sim_judge tests/unit/check_sim_checkers tests/unit/check_sim_faults \
	tests/unit/check_sim_kept
tests_unit_check_sim_judge_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
tests_unit_check_sim_checkers_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
tests_unit_check_sim_faults_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
tests_unit_check_sim_kept_LDADD = $(TEST_LIBS) $(UP_TO_SIM)

check_PROGRAMS += tests/unit/check_sim_history tests/unit/check_sim_jobs tests/unit/check_sim_world tests/unit/check_sim_workload
tests_unit_check_sim_history_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
tests_unit_check_sim_jobs_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
tests_unit_check_sim_world_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
tests_unit_check_sim_workload_LDADD = $(TEST_LIBS) $(UP_TO_SIM)

# The stories: tests of replication/ as a whole. Their golden traces are rewritten by make check UPDATE_TRACES=1.
check_PROGRAMS += tests/cluster/check_requests tests/cluster/check_scenarios tests/cluster/check_fuzz
tests_cluster_check_fuzz_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
check_LIBRARIES += tests/lib/libgolden.a
tests_lib_libgolden_a_SOURCES = tests/lib/golden.c tests/lib/golden.h
tests_cluster_check_requests_LDADD = tests/lib/libgolden.a $(TEST_LIBS) $(UP_TO_SIM)
tests_cluster_check_scenarios_LDADD = tests/lib/libgolden.a $(TEST_LIBS) $(UP_TO_SIM)
EXTRA_DIST += tests/cluster/traces

if PLANTED
# The simulator over replication/ with planted bugs (replication/planted.h): tests that its checkers find them. The files that
# hold one are compiled with them into the program, which leaves their twins in the library unused.
check_PROGRAMS += tests/cluster/check_planted
tests_cluster_check_planted_SOURCES = tests/cluster/check_planted.c \
	replication/node.c replication/op_read.c replication/op_write.c replication/op_write_targets.c \
	replication/probe.c replication/reap.c replication/reap_part.c replication/reap_round.c \
	replication/replica.c
tests_cluster_check_planted_CPPFLAGS = $(AM_CPPFLAGS) -DRD_PLANTED_BUGS
tests_cluster_check_planted_LDADD = $(TEST_LIBS) $(UP_TO_SIM)
endif
