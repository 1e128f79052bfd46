# Floor 0: errors, bytes, random numbers, hashes, text. Uses libc, libcrypto, xxhash.

noinst_LTLIBRARIES += base/libbase.la
base_libbase_la_SOURCES = \
	base/blob.c base/blob.h \
	base/buf.c base/buf.h \
	base/err.c base/err.h \
	base/hash.c base/hash.h \
	base/prng.c base/prng.h \
	base/text.c base/text.h

check_PROGRAMS += tests/unit/check_blob
tests_unit_check_blob_LDADD = $(TEST_LIBS) $(UP_TO_BASE)
tests_unit_check_blob_LDFLAGS = $(OOM_LDFLAGS)
