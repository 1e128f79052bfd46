# Floor 2: Dynamo as pure logic. Uses base/ and resp/.

noinst_LIBRARIES += replication/libreplication.a
replication_libreplication_a_SOURCES = \
	replication/actors.c \
	replication/actors.h \
	replication/birth.c \
	replication/birth.h \
	replication/certificate.c \
	replication/certificate.h \
	replication/client_op.h \
	replication/budget.c \
	replication/budget.h \
	replication/bytes.h \
	replication/context.c \
	replication/context.h \
	replication/coordinator.c \
	replication/coordinator.h \
	replication/core.h \
	replication/effects.c \
	replication/effects.h \
	replication/failure.c \
	replication/failure.h \
	replication/exchange.c \
	replication/exchange.h \
	replication/exchange_keys.c \
	replication/exchange_private.h \
	replication/exchange_rows.c \
	replication/exchange_tree.c \
	replication/flow.c \
	replication/flow.h \
	replication/forwarded.c \
	replication/forwarded.h \
	replication/handshake.c \
	replication/handshake.h \
	replication/hint.c \
	replication/hint.h \
	replication/hint_ledger.c \
	replication/hint_ledger.h \
	replication/hints.c \
	replication/hints.h \
	replication/hlc.c \
	replication/hlc.h \
	replication/instant.h \
	replication/latency.c \
	replication/latency.h \
	replication/member.c \
	replication/member.h \
	replication/merkle.c \
	replication/merkle.h \
	replication/node.c \
	replication/node.h \
	replication/node_client.c \
	replication/node_conf.h \
	replication/node_frames.c \
	replication/node_id.h \
	replication/node_places.c \
	replication/node_private.h \
	replication/node_scan.c \
	replication/node_stats.h \
	replication/node_view.c \
	replication/object.c \
	replication/object.h \
	replication/object_codec.c \
	replication/op_count.c \
	replication/op_count.h \
	replication/op_flush.c \
	replication/op_flush.h \
	replication/op_forward.c \
	replication/op_forward.h \
	replication/op_read.c \
	replication/op_read.h \
	replication/op_report.c \
	replication/op_report.h \
	replication/op_rmw.c \
	replication/op_rmw.h \
	replication/op_scan.c \
	replication/op_scan.h \
	replication/op_scan_wave.c \
	replication/op_scan_wave.h \
	replication/op_write.c \
	replication/op_write.h \
	replication/op_write_targets.c \
	replication/op_write_targets.h \
	replication/peers.c \
	replication/peers_health.c \
	replication/peers.h \
	replication/peers_view.c \
	replication/planted.h \
	replication/probe.c \
	replication/probe.h \
	replication/placement.c \
	replication/placement.h \
	replication/preflist.c \
	replication/preflist.h \
	replication/quorum.c \
	replication/quorum.h \
	replication/replace.c \
	replication/replace.h \
	replication/replica.c \
	replication/replica.h \
	replication/replica_hint.c \
	replication/replica_private.h \
	replication/replica_store.c \
	replication/ring.c \
	replication/ring.h \
	replication/scan_jobs.c \
	replication/scan_jobs.h \
	replication/scan_page.c \
	replication/scan_page.h \
	replication/rmw_port.h \
	replication/store_port.h \
	replication/successors.c \
	replication/successors.h \
	replication/reap.c \
	replication/reap.h \
	replication/reap_pack.c \
	replication/reap_pack.h \
	replication/reap_part.c \
	replication/reap_private.h \
	replication/reap_round.c \
	replication/replica_shrink.c \
	replication/shrink.c \
	replication/shrink.h \
	replication/watched.c \
	replication/watched.h \
	replication/scrub.c \
	replication/scrub.h \
	replication/slot.c \
	replication/slot.h \
	replication/varint.c \
	replication/varint.h \
	replication/version.c \
	replication/version.h \
	replication/wire.c \
	replication/wire.h

check_PROGRAMS += tests/unit/check_varint
tests_unit_check_varint_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_varint_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_version
tests_unit_check_version_SOURCES = tests/unit/check_version.c tests/unit/must.h
tests_unit_check_version_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_version_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_flow
tests_unit_check_flow_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
check_PROGRAMS += tests/unit/check_budget
tests_unit_check_budget_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_merkle
tests_unit_check_merkle_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_merkle_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_hint
tests_unit_check_hint_SOURCES = tests/unit/check_hint.c tests/unit/must.h
tests_unit_check_hint_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_hint_ledger
tests_unit_check_hint_ledger_SOURCES = tests/unit/check_hint_ledger.c tests/unit/must.h
tests_unit_check_hint_ledger_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_hint_ledger_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_silence
tests_unit_check_silence_SOURCES = tests/unit/check_silence.c $(NODE_RIG)
tests_unit_check_silence_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_handoff
tests_unit_check_handoff_SOURCES = tests/unit/check_handoff.c $(NODE_RIG) $(NODE_RIG_OOM)
tests_unit_check_handoff_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_handoff_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_hlc
tests_unit_check_hlc_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_shrink
tests_unit_check_shrink_SOURCES = tests/unit/check_shrink.c tests/unit/must.h tests/unit/object_text.c tests/unit/object_text.h
tests_unit_check_shrink_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_shrink_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_slot
tests_unit_check_slot_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_quorum
tests_unit_check_quorum_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_object
tests_unit_check_object_SOURCES = tests/unit/check_object.c tests/unit/object_text.c tests/unit/object_text.h
tests_unit_check_object_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_object_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_object_codec
tests_unit_check_object_codec_SOURCES = tests/unit/check_object_codec.c tests/unit/object_text.c tests/unit/object_text.h
tests_unit_check_object_codec_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_object_codec_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_object_histories
tests_unit_check_object_histories_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_object_laws
tests_unit_check_object_laws_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_context
tests_unit_check_context_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_context_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_ring
tests_unit_check_ring_SOURCES = tests/unit/check_ring.c tests/unit/members_make.h
tests_unit_check_ring_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_ring_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_preflist
tests_unit_check_preflist_SOURCES = tests/unit/check_preflist.c tests/unit/members_make.h
tests_unit_check_preflist_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_preflist_LDFLAGS = $(OOM_LDFLAGS)

EXTRA_PROGRAMS += tests/fuzz/fuzz_object
tests_fuzz_fuzz_object_LDADD = $(UP_TO_REPLICATION)
tests_fuzz_fuzz_object_LDFLAGS = $(FUZZ_LDFLAGS)

EXTRA_PROGRAMS += tests/fuzz/fuzz_context
tests_fuzz_fuzz_context_LDADD = $(UP_TO_REPLICATION)
tests_fuzz_fuzz_context_LDFLAGS = $(FUZZ_LDFLAGS)

# Tests of protocols drive one node on a bench.
NODE_RIG_OOM = tests/lib/node_rig_oom.c tests/lib/node_rig_oom.h
NODE_RIG = \
	tests/lib/node_rig.c tests/lib/node_rig.h \
	tests/lib/node_rig_words.c tests/lib/node_rig_words.h \
	tests/unit/object_text.c tests/unit/object_text.h

check_PROGRAMS += tests/unit/check_op_write
tests_unit_check_op_write_SOURCES = tests/unit/check_op_write.c $(NODE_RIG)
tests_unit_check_op_write_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_replica
tests_unit_check_replica_SOURCES = tests/unit/check_replica.c $(NODE_RIG)
tests_unit_check_replica_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_replica_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_failure
tests_unit_check_failure_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_latency
tests_unit_check_latency_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_op_read
tests_unit_check_op_read_SOURCES = tests/unit/check_op_read.c $(NODE_RIG)
tests_unit_check_op_read_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_op_read_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_birth
tests_unit_check_birth_SOURCES = tests/unit/check_birth.c $(NODE_RIG)
tests_unit_check_birth_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_forwarded
tests_unit_check_forwarded_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_wire
tests_unit_check_wire_SOURCES = tests/unit/check_wire.c $(NODE_RIG)
tests_unit_check_wire_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_wire_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_actors
tests_unit_check_actors_SOURCES = tests/unit/check_actors.c tests/unit/object_text.c tests/unit/object_text.h
tests_unit_check_actors_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_successors
tests_unit_check_successors_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_successors_LDFLAGS = $(OOM_LDFLAGS)
check_PROGRAMS += tests/unit/check_member
tests_unit_check_member_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_member_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_handshake
tests_unit_check_handshake_SOURCES = tests/unit/check_handshake.c $(NODE_RIG)
tests_unit_check_handshake_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_peers
tests_unit_check_peers_SOURCES = tests/unit/check_peers.c $(NODE_RIG)
tests_unit_check_peers_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_placement
tests_unit_check_placement_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_placement_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_coordinator
tests_unit_check_coordinator_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_coordinator_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_op_forward
tests_unit_check_op_forward_SOURCES = tests/unit/check_op_forward.c $(NODE_RIG)
tests_unit_check_op_forward_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_node
tests_unit_check_node_SOURCES = tests/unit/check_node.c $(NODE_RIG)
tests_unit_check_node_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

FUZZED_DECODERS = replication/certificate.c replication/context.c replication/hint.c replication/member.c \
	replication/object_codec.c replication/reap_pack.c replication/scan_page.c replication/wire.c
EXTRA_PROGRAMS += tests/fuzz/fuzz_wire
tests_fuzz_fuzz_wire_LDADD = $(UP_TO_REPLICATION)
tests_fuzz_fuzz_wire_LDFLAGS = $(FUZZ_LDFLAGS)

EXTRA_DIST += \
	tests/fuzz/corpus/fuzz_node/places_taken \
	tests/fuzz/corpus/fuzz_node/reaping \
	tests/fuzz/corpus/fuzz_wire/born \
	tests/fuzz/corpus/fuzz_wire/reap_answer \
	tests/fuzz/corpus/fuzz_wire/reap_check \
	tests/fuzz/corpus/fuzz_wire/reap_fence \
	tests/fuzz/corpus/fuzz_wire/reap_replace \
	tests/fuzz/corpus/fuzz_wire/reap_watch \
	tests/fuzz/corpus/fuzz_wire/scan \
	tests/fuzz/corpus/fuzz_wire/tree_roots \
	tests/fuzz/corpus/fuzz_wire/tree_rows \
	tests/fuzz/corpus/fuzz_wire/tree_rows_answer

EXTRA_PROGRAMS += tests/fuzz/fuzz_node
tests_fuzz_fuzz_node_SOURCES = tests/fuzz/fuzz_node.c tests/lib/node_rig.c tests/lib/node_rig.h
tests_fuzz_fuzz_node_LDADD = $(UP_TO_REPLICATION)
tests_fuzz_fuzz_node_LDFLAGS = $(FUZZ_LDFLAGS)

check_PROGRAMS += tests/unit/check_node_oom
tests_unit_check_node_oom_SOURCES = tests/unit/check_node_oom.c $(NODE_RIG) $(NODE_RIG_OOM)
tests_unit_check_node_oom_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_node_oom_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_scan_page
tests_unit_check_scan_page_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
tests_unit_check_scan_page_LDFLAGS = $(OOM_LDFLAGS)

check_PROGRAMS += tests/unit/check_op_scan_wave
tests_unit_check_op_scan_wave_SOURCES = tests/unit/check_op_scan_wave.c $(NODE_RIG)
tests_unit_check_op_scan_wave_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)

check_PROGRAMS += tests/unit/check_op_scan
tests_unit_check_op_scan_SOURCES = tests/unit/check_op_scan.c $(NODE_RIG)
tests_unit_check_op_scan_LDADD = $(TEST_LIBS) $(UP_TO_REPLICATION)
