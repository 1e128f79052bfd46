/* A node that comes back with an empty dir takes the places of the member that was at its address (INTERFACE section 5).
 *
 *     a member M dials member A                     the empty node F, at A's address
 *     meets F, which knows the secret        <----  is born nowhere
 *     A is not up; nobody else is being filled; each of A's partitions keeps W synced homes in reach
 *     a record (A, by F), to everybody       ---->  adopts the certificate with the record: it holds A's places, and is FILLING
 *                                                   exchanges with all homes of its partitions; counts as a fallback at most
 *     counts it for R and W                  <----  its entry says that it is synced
 *
 * F inherits the placement id, so no other place moves. It has a name, and issues dots, of its own.
 *
 * When it is filled. A write that A acknowledged before its disk was lost may rest, beside A, on W-1 of the other N-1 homes. So F compares
 * its trees with at least N-W+1 of these, in passes begun after each knew the record, and takes all that differs. A home that knows
 * the record acknowledges no write whose sender did not know it when it sent it (link->aware), nor one that came before itself did;
 * and a coordinator that knows it counts no acknowledgement of A. So every write that counts A has been acknowledged by the others
 * before they were asked, and passes behind that find it (TRAPS join_from_stale_source). A home that is itself being filled, or at
 * whose address an empty node waits, has nothing to give and is not waited for. One that is down is, unless N-W+1 others are there.
 */
#ifndef RD_REPLICATION_REPLACE_H
#define RD_REPLICATION_REPLACE_H

#include "replication/birth.h"
#include "replication/exchange.h"

#define REPLACE_REASON_BYTES 160

struct replace {
    struct core *core; /* all borrowed */
    struct members *members;
    struct peers *peers;
    struct placement *placement;
    struct exchange *exchange;
    struct birth *birth;
    uint64_t next_us; /* when the node looks again whether it is filled */
};

/* Starts. The other pointers are set by the caller. */
void replace_init(struct replace *replace, struct core *core);

/* True if an empty node at the address of member `gone` may take its places now; else `reason` says why not. */
bool replace_may(const struct replace *replace, uint16_t gone, char reason[REPLACE_REASON_BYTES]);

/* While this node is being filled: sees to it that all homes are asked, and that it says so when it has what it needs. To be called about
 * each PEERS_TICK_US, while the cluster is born. True: it has just been filled. */
bool replace_tick(struct replace *replace);

#endif
