/* The handshake: before anything else is heard, peers show that they belong together (TRAPS wrong_neighbour, n_val_change).
 *
 *     dialler                       acceptor
 *     HELLO (facts, nonce)    ->    checks the facts
 *     checks facts and proof  <-    CHALLENGE (facts, nonce, proof)
 *     PROOF (proof)           ->    checks the proof
 *     the link is ready       <-    WELCOME, the link is ready
 *
 * A proof is an HMAC under the cluster secret over both nonces, ids and clusters and the speaker's role, so that it can be neither replayed nor
 * reflected. Whoever does not like what it reads says REFUSE with one sentence, which both sides log.
 */
#ifndef RD_REPLICATION_HANDSHAKE_H
#define RD_REPLICATION_HANDSHAKE_H

#include <stdbool.h>

#include "base/hash.h"
#include "replication/certificate.h"
#include "replication/core.h"
#include "replication/wire.h"

#define HANDSHAKE_NONCE_BYTES 16
#define HANDSHAKE_REASON_BYTES 240

/* What one side said of itself and goes into the proofs. */
struct handshake_facts {
    struct node_id node;
    uint8_t nonce[HANDSHAKE_NONCE_BYTES];
    bool born;
    struct node_id cluster; /* if born */
};

/* The node's own facts with a fresh nonce. `birth`: its certificate, NULL if unborn. */
void handshake_own(struct core *core, const struct certificate *birth, struct handshake_facts *out);

/* The hello that states `facts` and the configuration; borrows both. `kind`: WIRE_HELLO or WIRE_CHALLENGE, the latter with `proof` of HASH_HMAC_BYTES (HELLO: NULL). */
void handshake_hello(const struct core *core, const struct handshake_facts *facts,
                     enum wire_kind kind, const uint8_t *proof, struct wire_msg *out);

/* Judges what a peer says of itself. Returns true and fills `out`, or false, a sentence in `reason`, and whether the peer is an outcast: a node that this born
 * cluster does not know; then `out` is filled all the same. A node that meets itself is no error here: the caller compares ids. */
bool handshake_check(const struct core *core, const struct certificate *birth,
                     const struct wire_hello *hello, struct handshake_facts *out,
                     char reason[HANDSHAKE_REASON_BYTES], bool *outcast);

/* The proof of the dialler or of the acceptor, which both sides can compute. */
void handshake_prove(const char *secret, bool by_dialler, const struct handshake_facts *dialler,
                     const struct handshake_facts *acceptor, uint8_t out[HASH_HMAC_BYTES]);

#endif
