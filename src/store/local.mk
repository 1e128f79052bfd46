# Floor 3: the store. Uses floors 0-2 and SQLite.

noinst_LTLIBRARIES += src/store/libstore.la
src_store_libstore_la_SOURCES = \
	src/store/batch.c src/store/batch.h \
	src/store/page.c src/store/page.h \
	src/store/row.c src/store/row.h \
	src/store/row_list.c src/store/row_list.h \
	src/store/store.c src/store/store.h src/store/store_engine.h \
	src/store/store_mem.c src/store/store_mem.h

check_PROGRAMS += tests/unit/check_store_mem
tests_unit_check_store_mem_LDADD = $(TEST_LIBS) $(UP_TO_STORE)
tests_unit_check_store_mem_LDFLAGS = $(OOM_LDFLAGS)
