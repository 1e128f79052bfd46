# Benchmarks: built by "make bench", never part of make check.

EXTRA_PROGRAMS += bench/store
bench_store_SOURCES = bench/store.c
bench_store_LDADD = $(UP_TO_STORE) -lm

bench: bench/store
.PHONY: bench
