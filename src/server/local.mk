# Floor 4: clients, commands, configuration. Uses floors 0-3 and libevent.

noinst_LIBRARIES += src/server/libserver.a
src_server_libserver_a_SOURCES = \
	src/server/clock.c src/server/clock.h \
	src/server/config.h \
	src/server/config_change.c \
	src/server/config_file.c src/server/config_file.h \
	src/server/config_load.c \
	src/server/config_sample.c \
	src/server/config_table.c src/server/config_table.h \
	src/server/config_value.c \
	src/server/driver.c src/server/driver.h \
	src/server/links.c src/server/links.h \
	src/server/log.c src/server/log.h \
	src/server/server.c src/server/server.h \
	src/server/setup.c src/server/setup.h


# Clients and commands.
src_server_libserver_a_SOURCES += \
	src/server/call.c src/server/call.h \
	src/server/client.c src/server/client.h \
	src/server/client_list.c src/server/client_list.h \
	src/server/client_state.c \
	src/server/client_stats.c src/server/client_stats.h \
	src/server/cmd_client.c \
	src/server/cmd_cluster.c \
	src/server/cmd_command.c \
	src/server/cmd_connection.c \
	src/server/cmd_dyn.c \
	src/server/bits.h \
	src/server/cmd_gathered.c \
	src/server/cmd_pairs.c \
	src/server/cmd_value.c \
	src/server/cmd_wait.c \
	src/server/lcs.c src/server/lcs.h \
	src/server/rdb_string.c src/server/rdb_string.h \
	src/server/value.c src/server/value.h src/server/values.h \
	src/server/value_bitfield.c src/server/value_bits.c src/server/value_expiry.c \
	src/server/value_numbers.c src/server/value_objects.c src/server/value_strings.c \
	src/server/cmd_dyncluster.c \
	src/server/cmd_inspect.c \
	src/server/cmd_keys.c \
	src/server/cmd_scan.c \
	src/server/cmd_server.c \
	src/server/cmd_string.c \
	src/server/command.h \
	src/server/command_docs.c src/server/command_docs.h \
	src/server/command_notes.c src/server/command_notes.h \
	src/server/command_rows.c src/server/command_rows.h \
	src/server/command_syntax.c src/server/command_syntax.h \
	src/server/command_table.c src/server/command_table.h \
	src/server/commands.h \
	src/server/describe.c src/server/describe.h \
	src/server/dispatch.c src/server/dispatch.h \
	src/server/gather.c src/server/gather.h \
	src/server/info.c src/server/info.h \
	src/server/lanes.c src/server/lanes.h \
	src/server/options.c src/server/options.h \
	src/server/pace.c src/server/pace.h \
	src/server/reading.h \
	src/server/reply.c \
	src/server/tickets.c src/server/tickets.h \
	src/server/topology.c src/server/topology.h

# The client side.
check_PROGRAMS += tests/unit/check_lanes
tests_unit_check_lanes_LDADD = $(TEST_LIBS) $(CLIENT_SIDE)
tests_unit_check_lanes_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_tickets
tests_unit_check_tickets_LDADD = $(TEST_LIBS) $(CLIENT_SIDE)
tests_unit_check_tickets_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_values
tests_unit_check_values_SOURCES = tests/unit/check_values.c $(SERVER_FAKE)
tests_unit_check_values_LDADD = $(TEST_LIBS) $(CLIENT_SIDE)
tests_unit_check_values_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_pace
tests_unit_check_pace_LDADD = $(TEST_LIBS) $(CLIENT_SIDE)

check_PROGRAMS += tests/unit/check_command_table
tests_unit_check_command_table_SOURCES = tests/unit/check_command_table.c $(SERVER_FAKE)
tests_unit_check_command_table_LDADD = $(TEST_LIBS) $(CLIENT_SIDE)

check_PROGRAMS += tests/unit/check_clients
tests_unit_check_clients_SOURCES = tests/unit/check_clients.c $(SERVER_FAKE)
tests_unit_check_clients_LDADD = $(TEST_LIBS) $(CLIENT_SIDE)

check_PROGRAMS += tests/unit/check_commands
tests_unit_check_commands_SOURCES = tests/unit/check_commands.c $(SERVER_FAKE)
tests_unit_check_commands_LDADD = $(TEST_LIBS) $(CLIENT_SIDE)

check_PROGRAMS += tests/unit/check_topology
tests_unit_check_topology_SOURCES = tests/unit/check_topology.c $(SERVER_FAKE)
tests_unit_check_topology_LDADD = $(TEST_LIBS) $(CLIENT_SIDE)

check_PROGRAMS += tests/unit/check_clients_oom
tests_unit_check_clients_oom_SOURCES = tests/unit/check_clients_oom.c $(SERVER_FAKE)
tests_unit_check_clients_oom_LDADD = $(TEST_LIBS) $(CLIENT_SIDE)
tests_unit_check_clients_oom_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_clients_random
tests_unit_check_clients_random_SOURCES = tests/unit/check_clients_random.c $(SERVER_FAKE)
tests_unit_check_clients_random_LDADD = $(TEST_LIBS) $(CLIENT_SIDE)

SERVER_FAKE = tests/unit/server_fake.c tests/unit/server_fake.h

dist_check_SCRIPTS += redis-tests/compare_with_redis.py
TESTS += redis-tests/compare_with_redis.py

# The client side alone: the fake stands in for driver, node and store.
CLIENT_SIDE = src/server/libserver.a $(UP_TO_REPLICATION) $(LIBEVENT_LIBS)

# Configuration, loop, driver.
check_PROGRAMS += tests/unit/check_config
tests_unit_check_config_LDADD = $(TEST_LIBS) $(UP_TO_SERVER)
tests_unit_check_config_LDFLAGS = $(OOM_LDFLAGS)
check_PROGRAMS += tests/unit/check_driver
tests_unit_check_driver_LDADD = $(TEST_LIBS) $(UP_TO_SERVER)

check_PROGRAMS += tests/unit/check_log
tests_unit_check_log_LDADD = $(TEST_LIBS) $(UP_TO_SERVER)
tests_unit_check_log_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_setup
tests_unit_check_setup_LDADD = $(TEST_LIBS) $(UP_TO_SERVER)
