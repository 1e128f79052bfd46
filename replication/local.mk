# Floor 2: Dynamo as pure logic. Uses base/ and resp/.

noinst_LTLIBRARIES += replication/libreplication.la
replication_libreplication_la_SOURCES = \
	replication/context.c \
	replication/context.h \
	replication/hlc.c \
	replication/hlc.h \
	replication/node_id.h \
	replication/object.c \
	replication/object.h \
	replication/object_codec.c \
	replication/preflist.c \
	replication/preflist.h \
	replication/quorum.c \
	replication/quorum.h \
	replication/ring.c \
	replication/ring.h \
	replication/slot.c \
	replication/slot.h \
	replication/varint.c \
	replication/varint.h \
	replication/version.c \
	replication/version.h

check_PROGRAMS += tests/unit/check_varint
tests_unit_check_varint_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_varint_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_version
tests_unit_check_version_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_version_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_hlc
tests_unit_check_hlc_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_slot
tests_unit_check_slot_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_quorum
tests_unit_check_quorum_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_object
tests_unit_check_object_SOURCES = tests/unit/check_object.c tests/unit/object_text.c tests/unit/object_text.h
tests_unit_check_object_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_object_LDFLAGS = $(OOM_LDFLAGS)
