# Floor 4: clients, commands, configuration. Uses floors 0-3 and libevent.

noinst_LTLIBRARIES += src/server/libserver.la
src_server_libserver_la_SOURCES = \
	src/server/clock.c src/server/clock.h \
	src/server/config.h \
	src/server/config_change.c \
	src/server/config_file.c src/server/config_file.h \
	src/server/config_load.c \
	src/server/config_sample.c \
	src/server/config_table.c src/server/config_table.h \
	src/server/config_value.c \
	src/server/driver.h \
	src/server/log.c src/server/log.h \
	src/server/server.h
