# Benchmarks: built by "make bench", never part of make check but for the tests of their parts and bench/regress.

# The load generator's parts, and what the tests of them need.
check_LIBRARIES += bench/libbench.a
bench_libbench_a_SOURCES = \
	bench/histogram.c bench/histogram.h \
	bench/keys.c bench/keys.h \
	bench/load_batch.c bench/load_batch.h \
	bench/load_conf.c bench/load_conf.h \
	bench/load_dial.c bench/load_dial.h \
	bench/load_run.c bench/load_run.h \
	bench/replies.c bench/replies.h

BENCH_LIBS = bench/libbench.a $(UP_TO_RESP) -lm

EXTRA_PROGRAMS += bench/store bench/load bench/limits
bench_store_SOURCES = bench/store.c
bench_store_LDADD = $(UP_TO_STORE) -lm
bench_load_SOURCES = bench/load.c
bench_load_LDADD = $(BENCH_LIBS)

bench_limits_SOURCES = bench/limits.c bench/echo.c bench/echo.h
bench_limits_LDADD = $(BENCH_LIBS)

# Instruction counts of the hot paths, compared with committed ones. Sanitized they would say nothing.
EXTRA_PROGRAMS += bench/hotpath
bench_hotpath_SOURCES = bench/hotpath.c
bench_hotpath_LDADD = $(UP_TO_SERVER)
if PLAIN
check_DATA += bench/hotpath
TESTS += bench/regress
endif
dist_check_SCRIPTS += bench/regress
EXTRA_DIST += bench/instructions.txt

bench: bench/store bench/load bench/limits
.PHONY: bench
EXTRA_DIST += bench/run bench/lib

check_PROGRAMS += \
	tests/unit/check_bench_histogram \
	tests/unit/check_bench_keys \
	tests/unit/check_bench_load
tests_unit_check_bench_histogram_LDADD = $(TEST_LIBS) $(BENCH_LIBS)
tests_unit_check_bench_keys_LDADD = $(TEST_LIBS) $(BENCH_LIBS)
tests_unit_check_bench_load_LDADD = $(TEST_LIBS) $(BENCH_LIBS)

# The program against servers. It is a test from outside, so that it lies with those.
check_PROGRAMS += redis-tests/check_load
redis_tests_check_load_LDADD = $(REDIS_TEST_LIBS)
EXTRA_redis_tests_check_load_DEPENDENCIES = bench/load
