# Floor 1: RESP2/RESP3 readers and writer. Uses base/.

noinst_LTLIBRARIES += resp/libresp.la
resp_libresp_la_SOURCES = \
	resp/command.c resp/command.h \
	resp/reader.c resp/reader.h \
	resp/scan.h \
	resp/slice.h \
	resp/words.c resp/words.h \
	resp/writer.c resp/writer.h
