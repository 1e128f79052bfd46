# Floor 3: the store. Uses floors 0-2 and SQLite.

noinst_LIBRARIES += src/store/libstore.a
src_store_libstore_a_SOURCES = \
	src/store/batch.c src/store/batch.h \
	src/store/cache.c src/store/cache.h \
	src/store/journal.c src/store/journal.h src/store/journal_ahead.c \
	src/store/timing.c src/store/timing.h \
	src/store/mem_tree.c src/store/mem_tree.h \
	src/store/memtable.c src/store/memtable.h \
	src/store/merger.c src/store/merger.h \
	src/store/page.c src/store/page.h \
	src/store/port.c src/store/port.h \
	src/store/record.c src/store/record.h \
	src/store/row.c src/store/row.h \
	src/store/row_list.c src/store/row_list.h \
	src/store/sqlite_check.c \
	src/store/sqlite_engine.h \
	src/store/sqlite_file.c src/store/sqlite_file.h \
	src/store/sqlite_pace.c \
	src/store/sqlite_recount.c \
	src/store/sqlite_recover.c \
	src/store/sqlite_row.c src/store/sqlite_row.h \
	src/store/sqlite_scan.c \
	src/store/store.c src/store/store.h \
	src/store/store_engine.h \
	src/store/store_mem.c src/store/store_mem.h \
	src/store/store_sqlite.c src/store/store_sqlite.h \
	src/store/table.c src/store/table.h src/store/table_salvage.c \
	src/store/thread.c src/store/thread.h \
	src/store/types.h \
	src/store/wal_sync.c src/store/wal_sync.h \
	src/store/wal_vfs.c src/store/wal_vfs.h

check_PROGRAMS += tests/unit/check_store_parts
tests_unit_check_store_parts_LDADD = $(TEST_LIBS) $(UP_TO_STORE)
tests_unit_check_store_parts_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_store
tests_unit_check_store_SOURCES = tests/unit/check_store.c \
	tests/lib/store_rig.c tests/lib/store_rig.h
tests_unit_check_store_LDADD = $(TEST_LIBS) $(UP_TO_STORE)
tests_unit_check_store_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_store_random
tests_unit_check_store_random_SOURCES = tests/unit/check_store_random.c \
	tests/lib/store_rig.c tests/lib/store_rig.h
tests_unit_check_store_random_LDADD = $(TEST_LIBS) $(UP_TO_STORE)

check_PROGRAMS += tests/unit/check_journal
tests_unit_check_journal_SOURCES = tests/unit/check_journal.c \
	tests/lib/shim_vfs.c tests/lib/shim_vfs.h
tests_unit_check_journal_LDADD = $(TEST_LIBS) $(UP_TO_STORE)
tests_unit_check_journal_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_memtable
tests_unit_check_memtable_LDADD = $(TEST_LIBS) $(UP_TO_STORE)
tests_unit_check_memtable_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_store_collisions
tests_unit_check_store_collisions_SOURCES = tests/unit/check_store_collisions.c \
	tests/lib/store_rig.c tests/lib/store_rig.h
tests_unit_check_store_collisions_LDADD = $(TEST_LIBS) $(UP_TO_STORE)

check_PROGRAMS += tests/unit/check_store_mem
tests_unit_check_store_mem_LDADD = $(TEST_LIBS) $(UP_TO_STORE)
tests_unit_check_store_mem_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_store_sqlite
tests_unit_check_store_sqlite_SOURCES = tests/unit/check_store_sqlite.c \
	tests/lib/store_rig.c tests/lib/store_rig.h
tests_unit_check_store_sqlite_LDADD = $(TEST_LIBS) $(UP_TO_STORE)
tests_unit_check_store_sqlite_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_wal_sync
tests_unit_check_wal_sync_SOURCES = tests/unit/check_wal_sync.c \
	tests/lib/store_rig.c tests/lib/store_rig.h
tests_unit_check_wal_sync_LDADD = $(TEST_LIBS) $(UP_TO_STORE)
tests_unit_check_wal_sync_LDFLAGS = -Wl,--wrap=fdatasync

check_PROGRAMS += tests/unit/check_store_crash
tests_unit_check_store_crash_SOURCES = tests/unit/check_store_crash.c \
	tests/lib/store_rig.c tests/lib/store_rig.h
tests_unit_check_store_crash_LDADD = $(TEST_LIBS) $(UP_TO_STORE)

check_PROGRAMS += tests/unit/check_store_power
tests_unit_check_store_power_SOURCES = tests/unit/check_store_power.c \
	tests/lib/store_rig.c tests/lib/store_rig.h tests/lib/shim_vfs.c tests/lib/shim_vfs.h
tests_unit_check_store_power_LDADD = $(TEST_LIBS) $(UP_TO_STORE)
tests_unit_check_store_power_LDFLAGS = -Wl,--wrap=fdatasync
