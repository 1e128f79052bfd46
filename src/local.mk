# Floor 5: the programs. Flags, signals, wiring; no logic.

bin_PROGRAMS += src/redynamo-server
src_redynamo_server_SOURCES = src/redynamo-server.c
src_redynamo_server_LDADD = $(UP_TO_SERVER)

# The sample goes to the documents: an installation never touches anybody's configuration.
dist_doc_DATA = redynamo.conf
