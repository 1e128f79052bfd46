# Tests: what is shared by all. Each test is declared in the local.mk of the floor it tests.
#
# A unit test of module resp/reader is tests/unit/check_reader.c, one program with its own main, and
# three lines in resp/local.mk (the source is found by the program's name):
#
#   check_PROGRAMS += tests/unit/check_reader
#   tests_unit_check_reader_LDADD = $(TEST_LIBS) $(UP_TO_RESP)
#   tests_unit_check_reader_LDFLAGS = $(OOM_LDFLAGS)      # only if it includes tests/lib/oom.h
#
# UP_TO_<FLOOR> (see Makefile.am) links that floor and those below, nothing else. A test of more files says
# so with tests_unit_check_reader_SOURCES. OOM_LDFLAGS (configure.ac) sends the program's own allocations
# through tests/lib/oom.c. Data files a test reads go to EXTRA_DIST, and the test
# finds them under the environment variable TOP_SRCDIR
# (TOP_BUILDDIR: the programs). `make check` runs every check_PROGRAMS, in parallel
# with -j, and scripts/tidy; one alone: make check TESTS=tests/unit/check_reader.
# A script as a test: dist_check_SCRIPTS += path/name and TESTS += path/name.
#
# A fuzzer of the same module is tests/fuzz/fuzz_reader.c with LLVMFuzzerTestOneInput and
#
#   EXTRA_PROGRAMS += tests/fuzz/fuzz_reader
#   tests_fuzz_fuzz_reader_LDADD = $(UP_TO_RESP)
#   tests_fuzz_fuzz_reader_LDFLAGS = $(FUZZ_LDFLAGS)
#
# built by `make fuzzers` after configure --enable-fuzzers CC=clang. Its seeds, if any, are files in
# tests/fuzz/corpus/fuzz_reader/, listed in EXTRA_DIST.

TEST_LIBS = tests/lib/libtest.a $(CHECK_LIBS)

check_LIBRARIES += tests/lib/libtest.a
tests_lib_libtest_a_SOURCES = \
	tests/lib/oom.c tests/lib/oom.h \
	tests/lib/run.c tests/lib/run.h

TESTS += $(check_PROGRAMS)
dist_check_SCRIPTS += scripts/tidy scripts/tidy-selftest
EXTRA_DIST += scripts/tidy.allow

AM_TESTS_ENVIRONMENT = \
	TOP_SRCDIR='$(abs_top_srcdir)'; export TOP_SRCDIR; \
	TOP_BUILDDIR='$(abs_top_builddir)'; export TOP_BUILDDIR; \
	CC='$(CC)'; export CC; \
	TIDY_CPPFLAGS='$(AM_CPPFLAGS)'; export TIDY_CPPFLAGS; \
	test -n '$(RD_SANITIZE)' || { TIDY_BUILD='$(abs_top_builddir)'; export TIDY_BUILD; };
