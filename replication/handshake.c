/* Facts, their comparison, and proofs. Links and their states are peers.c's. */
#include "replication/handshake.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const char *const partitioner_names[] = {"crc16", "md5"};
static const char *const conflict_names[] = {"siblings", "last-write-wins"};

void handshake_own(struct core *core, const struct certificate *birth,
                   struct handshake_facts *out) {
    *out = (struct handshake_facts){.node = core->self, .born = birth != NULL};
    prng_fill(&core->prng, out->nonce, sizeof(out->nonce));
    if (birth != NULL)
        out->cluster = birth->cluster;
}

void handshake_hello(const struct core *core, const struct handshake_facts *facts,
                     enum wire_kind kind, const uint8_t *proof, struct wire_msg *out) {
    const struct node_conf *conf = &core->conf;
    *out = (struct wire_msg){.kind = kind};
    struct wire_hello *hello = &out->hello;
    hello->protocol = NODE_PROTOCOL_VERSION;
    hello->cluster_name =
        (struct resp_slice){(const uint8_t *)conf->cluster_name, strlen(conf->cluster_name)};
    hello->node = (struct resp_slice){facts->node.bytes, NODE_ID_BYTES};
    hello->nonce = (struct resp_slice){facts->nonce, HANDSHAKE_NONCE_BYTES};
    if (facts->born)
        hello->cluster = (struct resp_slice){facts->cluster.bytes, NODE_ID_BYTES};
    hello->n = conf->n;
    hello->partitions = conf->partitions;
    hello->partitioner = conf->partitioner;
    hello->conflict_resolution = conf->conflict_resolution;
    if (proof != NULL)
        hello->proof = (struct resp_slice){proof, HASH_HMAC_BYTES};
}

/* Compares one cluster-wide number. */
static bool same_number(const char *what, uint64_t theirs, uint64_t ours, char *reason) {
    if (theirs == ours)
        return true;
    snprintf(reason, HANDSHAKE_REASON_BYTES, "your %s is %llu, mine is %llu", what,
             (unsigned long long)theirs, (unsigned long long)ours);
    return false;
}

/* Compares one cluster-wide choice between two names. */
static bool same_choice(const char *what, const char *const names[2], uint64_t theirs,
                        uint64_t ours, char *reason) {
    if (theirs == ours)
        return true;
    snprintf(reason, HANDSHAKE_REASON_BYTES, "your %s is %s, mine is %s", what,
             theirs < 2 ? names[theirs] : "unknown", names[ours]);
    return false;
}

static bool same_settings(const struct node_conf *conf, const struct wire_hello *hello,
                          char *reason) {
    if (!same_number("protocol version", hello->protocol, NODE_PROTOCOL_VERSION, reason))
        return false;
    if (hello->cluster_name.len != strlen(conf->cluster_name) ||
        memcmp(hello->cluster_name.data, conf->cluster_name, hello->cluster_name.len) != 0) {
        int shown = hello->cluster_name.len < NODE_NAME_BYTES ? (int)hello->cluster_name.len
                                                              : NODE_NAME_BYTES;
        snprintf(reason, HANDSHAKE_REASON_BYTES, "your cluster-name is '%.*s', mine is '%s'", shown,
                 (const char *)hello->cluster_name.data, conf->cluster_name);
        for (char *c = reason; *c != 0; c++) /* it goes into a log */
            if ((unsigned char)*c < ' ' || *c == 127)
                *c = '?';
        return false;
    }
    return same_number("replication-factor", hello->n, conf->n, reason) &&
           same_number("partitions", hello->partitions, conf->partitions, reason) &&
           same_choice("partitioner", partitioner_names, hello->partitioner, conf->partitioner,
                       reason) &&
           same_choice("conflict-resolution", conflict_names, hello->conflict_resolution,
                       conf->conflict_resolution, reason);
}

static bool same_cluster(const struct certificate *birth, const struct handshake_facts *facts,
                         char *reason, bool *outcast) {
    if (birth == NULL)
        return true; /* whether we belong to its cluster is for its side to say */
    char theirs[NODE_ID_HEX + 1], ours[NODE_ID_HEX + 1];
    text_hex(birth->cluster.bytes, NODE_ID_BYTES, ours);
    if (facts->born && node_id_compare(&facts->cluster, &birth->cluster) != 0) {
        text_hex(facts->cluster.bytes, NODE_ID_BYTES, theirs);
        snprintf(reason, HANDSHAKE_REASON_BYTES,
                 "you belong to cluster %.8s, I to cluster %.8s, and clusters that were born "
                 "apart never merge",
                 theirs, ours);
        return false;
    }
    if (members_find(&birth->members, &facts->node) == MEMBER_NONE &&
        !successors_has_come(&birth->successors, &facts->node)) {
        *outcast = true;
        text_hex(facts->node.bytes, NODE_ID_BYTES, theirs);
        snprintf(reason, HANDSHAKE_REASON_BYTES,
                 "cluster %.8s was born without node %.8s, and joining a born cluster is not "
                 "supported yet",
                 ours, theirs);
        return false;
    }
    return true;
}

bool handshake_check(const struct core *core, const struct certificate *birth,
                     const struct wire_hello *hello, struct handshake_facts *out,
                     char reason[HANDSHAKE_REASON_BYTES], bool *outcast) {
    *outcast = false;
    if (hello->node.len != NODE_ID_BYTES || hello->nonce.len != HANDSHAKE_NONCE_BYTES ||
        (hello->cluster.len != 0 && hello->cluster.len != NODE_ID_BYTES)) {
        snprintf(reason, HANDSHAKE_REASON_BYTES, "your hello is malformed");
        return false;
    }
    struct handshake_facts facts = {.born = hello->cluster.len > 0};
    memcpy(facts.node.bytes, hello->node.data, NODE_ID_BYTES);
    memcpy(facts.nonce, hello->nonce.data, HANDSHAKE_NONCE_BYTES);
    if (facts.born)
        memcpy(facts.cluster.bytes, hello->cluster.data, NODE_ID_BYTES);
    bool self = node_id_compare(&facts.node, &core->self) == 0;
    if (!self && !same_settings(&core->conf, hello, reason))
        return false;
    if (!self && !same_cluster(birth, &facts, reason, outcast)) {
        if (*outcast)
            *out = facts;
        return false;
    }
    *out = facts;
    return true;
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t len) {
    memcpy(at, bytes, len);
    return at + len;
}

static uint8_t *put_facts(uint8_t *at, const struct handshake_facts *facts) {
    const struct node_id none = {{0}};
    at = put(at, facts->node.bytes, NODE_ID_BYTES);
    at = put(at, facts->nonce, HANDSHAKE_NONCE_BYTES);
    *at++ = facts->born;
    return put(at, facts->born ? facts->cluster.bytes : none.bytes, NODE_ID_BYTES);
}

void handshake_prove(const char *secret, bool by_dialler, const struct handshake_facts *dialler,
                     const struct handshake_facts *acceptor, uint8_t out[HASH_HMAC_BYTES]) {
    uint8_t text[32 + 2 * (2 * NODE_ID_BYTES + HANDSHAKE_NONCE_BYTES + 1)];
    uint8_t *at = put(text, "redynamo/proof/1", 16);
    *at++ = by_dialler ? 'd' : 'a';
    at = put_facts(at, dialler);
    at = put_facts(at, acceptor);
    hash_hmac(secret, strlen(secret), text, (size_t)(at - text), out);
}
