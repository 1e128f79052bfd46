# Floor 1: RESP2/RESP3 readers and writer. Uses base/.

noinst_LIBRARIES += resp/libresp.a
resp_libresp_a_SOURCES = \
	resp/command.c resp/command.h \
	resp/reader.c resp/reader.h \
	resp/scan.h \
	resp/slice.h \
	resp/words.c resp/words.h \
	resp/writer.c resp/writer.h

check_PROGRAMS += tests/unit/check_resp_words
tests_unit_check_resp_words_SOURCES = tests/unit/check_resp_words.c $(RESP_SHOW)
tests_unit_check_resp_words_LDADD = $(TEST_LIBS) $(UP_TO_RESP)
tests_unit_check_resp_words_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_resp_command
tests_unit_check_resp_command_SOURCES = tests/unit/check_resp_command.c $(RESP_SHOW)
tests_unit_check_resp_command_LDADD = $(TEST_LIBS) $(UP_TO_RESP)
tests_unit_check_resp_command_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_resp_reader
tests_unit_check_resp_reader_SOURCES = tests/unit/check_resp_reader.c $(RESP_SHOW)
tests_unit_check_resp_reader_LDADD = $(TEST_LIBS) $(UP_TO_RESP)
tests_unit_check_resp_reader_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_resp_writer
tests_unit_check_resp_writer_SOURCES = tests/unit/check_resp_writer.c $(RESP_SHOW)
tests_unit_check_resp_writer_LDADD = $(TEST_LIBS) $(UP_TO_RESP)
tests_unit_check_resp_writer_LDFLAGS = $(OOM_LDFLAGS)

RESP_SHOW = tests/unit/resp_show.c tests/unit/resp_show.h

EXTRA_PROGRAMS += tests/fuzz/fuzz_resp_command
tests_fuzz_fuzz_resp_command_LDADD = $(UP_TO_RESP)
tests_fuzz_fuzz_resp_command_LDFLAGS = $(FUZZ_LDFLAGS)

EXTRA_PROGRAMS += tests/fuzz/fuzz_resp_reader
tests_fuzz_fuzz_resp_reader_LDADD = $(UP_TO_RESP)
tests_fuzz_fuzz_resp_reader_LDFLAGS = $(FUZZ_LDFLAGS)

EXTRA_DIST += \
	tests/fuzz/corpus/fuzz_resp_command/bad_length \
	tests/fuzz/corpus/fuzz_resp_command/bad_marker \
	tests/fuzz/corpus/fuzz_resp_command/inline \
	tests/fuzz/corpus/fuzz_resp_command/multibulk \
	tests/fuzz/corpus/fuzz_resp_command/peer \
	tests/fuzz/corpus/fuzz_resp_command/unauthenticated \
	tests/fuzz/corpus/fuzz_resp_reader/attribute \
	tests/fuzz/corpus/fuzz_resp_reader/deep \
	tests/fuzz/corpus/fuzz_resp_reader/resp2 \
	tests/fuzz/corpus/fuzz_resp_reader/resp3 \
	tests/fuzz/corpus/fuzz_resp_reader/streamed
