/* Whom a scan asks: the members that list a run of partitions. Part of op_scan.
 *
 * R homes of each partition are asked, those that this request has not found silent first; all that can be reached for a flush. Where a home is
 * not healthy, what was written meanwhile may lie with fallbacks: as many of them as homes are missing list their hints too. With fewer
 * than R homes in reach fallbacks stand in for the others, as they do for a GET; but at least one home must answer, since fallbacks
 * cannot say that there is nothing (op_read.h).
 *
 * A member that is a home of some partitions and a fallback of others is two sources: one lists its own rows, one its hints.
 */
#ifndef RD_REPLICATION_OP_SCAN_WAVE_H
#define RD_REPLICATION_OP_SCAN_WAVE_H

#include <stdbool.h>
#include <stdint.h>

struct coordinator;
struct op_scan;
struct request;

/* Forgets all sources and what they have listed. */
void scan_wave_forget(struct op_scan *op);

/* Chooses the sources for a run of partitions from op->at on, as long as it can be served, and notes where it ends. False: the
 * request has ended, without memory or with RD_ENOQUORUM. */
bool scan_wave_plan(struct coordinator *co, struct request *request);

/* Asks the sources that have not answered. Those that cannot be asked after all are marked; returns false if there was one. */
bool scan_wave_ask(struct coordinator *co, struct request *request);

/* The word that names source and round in an order and its answer. */
uint64_t scan_wave_word(const struct op_scan *op, bool hints);

#endif
