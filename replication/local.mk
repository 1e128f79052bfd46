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
