/* The birth certificate of a cluster: its id, the key that seals contexts, and the members it was
 * born with.
 *
 * The id is the lowest node id among the members, the key the one that node brought along, so that
 * everybody who knows the same members makes the same certificate. The members' vnodes and zones in
 * it are the cluster's first layout. What it holds beside that, who has taken whose place since, is no part of its packed form.
 */
#ifndef RD_REPLICATION_CERTIFICATE_H
#define RD_REPLICATION_CERTIFICATE_H

#include "replication/context.h"
#include "replication/member.h"
#include "replication/successors.h"

struct certificate {
    struct node_id cluster;
    uint8_t seal_key[CONTEXT_KEY_BYTES];
    struct members members;       /* owned, in order of id: each names a place */
    struct successors successors; /* owned */
};

/* Frees all; zeroed again. */
void certificate_free(struct certificate *certificate);

/* Makes the certificate of the cluster whose members are those in `known` with ids in the
 * sorted, packed `view`. `secret` unmasks the key. Errors: RD_ENOTFOUND (an entry of the view is
 * not known yet), RD_ENOMEM. */
enum rd_err certificate_make(const struct members *known, struct resp_slice view,
                             const char *secret, struct certificate *out);

/* Appends the packed form. `secret` masks the key, as it must be on the wire; NULL leaves it
 * plain, for the node's own disk. Error: RD_ENOMEM. */
enum rd_err certificate_encode(const struct certificate *certificate, const char *secret,
                               struct buf *out);

/* Reads a packed form; `secret` as for certificate_encode. Errors: RD_EPROTO, RD_ENOMEM. */
enum rd_err certificate_decode(struct resp_slice bytes, const char *secret,
                               struct certificate *out);

/* True if `id` holds one of the places now. */
bool certificate_has_holder(const struct certificate *certificate, const struct node_id *id);

/* XORs `key` with what the secret and `owner` give: masks or unmasks. Without TLS this is what
 * keeps a seal key from whoever listens on the wire. */
void certificate_mask(const char *secret, const struct node_id *owner,
                      uint8_t key[CONTEXT_KEY_BYTES]);

#endif
