/* Probes on the wire: sends what the watches of failure.h wish for, answers, and passes on.
 *
 *     asker --PROBE--> target --PROBE-ANSWER--> asker                                       direct
 *     asker --PROBE target--> relay --PROBE asker--> target --ANSWER asker--> relay --ANSWER target--> asker     through another
 *
 * A relay keeps nothing: the frames carry who asked and whom. It passes a probe on once, never twice.
 */
#ifndef RD_REPLICATION_PROBE_H
#define RD_REPLICATION_PROBE_H

#include "replication/peers.h"

/* Through so many others a peer is probed that does not answer. */
#define PROBE_RELAYS 3

/* Lets all watches see the time, sends the probes they want, and logs who is down, suspect or up again. */
void probe_tick(struct peers *peers);

/* A PROBE or PROBE-ANSWER of the ready peer `from`. Error: RD_EPROTO: it cannot be understood. */
enum rd_err probe_message(struct peers *peers, uint16_t from, const struct wire_msg *msg);

#endif
