# Floor 0: errors, bytes, random numbers, hashes, text. Uses libc, libcrypto, xxhash.

noinst_LIBRARIES += base/libbase.a
base_libbase_a_SOURCES = \
	base/arena.c base/arena.h \
	base/blob.c base/blob.h \
	base/buf.c base/buf.h \
	base/digits.h \
	base/err.c base/err.h \
	base/hash.c base/hash.h \
	base/pool.h \
	base/prng.c base/prng.h \
	base/text.c base/text.h

check_PROGRAMS += \
	tests/unit/check_arena \
	tests/unit/check_blob \
	tests/unit/check_buf \
	tests/unit/check_err \
	tests/unit/check_hash \
	tests/unit/check_pool \
	tests/unit/check_prng \
	tests/unit/check_text \
	tests/unit/check_text_glob

tests_unit_check_arena_LDADD = $(TEST_LIBS) $(UP_TO_BASE)
tests_unit_check_arena_LDFLAGS = $(OOM_LDFLAGS)
tests_unit_check_blob_LDADD = $(TEST_LIBS) $(UP_TO_BASE)
tests_unit_check_blob_LDFLAGS = $(OOM_LDFLAGS)
tests_unit_check_buf_LDADD = $(TEST_LIBS) $(UP_TO_BASE)
tests_unit_check_buf_LDFLAGS = $(OOM_LDFLAGS)
tests_unit_check_err_LDADD = $(TEST_LIBS) $(UP_TO_BASE)
tests_unit_check_hash_LDADD = $(TEST_LIBS) $(UP_TO_BASE)
tests_unit_check_pool_LDADD = $(TEST_LIBS) $(UP_TO_BASE)
tests_unit_check_pool_LDFLAGS = $(OOM_LDFLAGS)
tests_unit_check_prng_LDADD = $(TEST_LIBS) $(UP_TO_BASE)
tests_unit_check_text_LDADD = $(TEST_LIBS) $(UP_TO_BASE)
tests_unit_check_text_glob_LDADD = $(TEST_LIBS) $(UP_TO_BASE)
