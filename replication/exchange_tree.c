/* The exchange's trees: comparing from the roots down, on both sides. Nothing here waits; see exchange.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "replication/bytes.h"
#include "replication/exchange_private.h"

static bool is_among(const uint16_t *homes, size_t count, uint16_t member) {
    for (size_t i = 0; i < count; i++)
        if (homes[i] == member)
            return true;
    return false;
}

bool exchange_shares(const struct exchange *x, uint16_t partition, uint16_t member) {
    uint16_t homes[PREFLIST_MAX_N];
    size_t count = placement_homes(x->placement, partition, homes);
    return is_among(homes, count, MEMBER_SELF) && is_among(homes, count, member);
}

/* ---- packing -------------------------------------------------------------------------------------- */

enum rd_err exchange_pack(struct buf *out, const struct tree_node *node) {
    uint8_t bytes[TREE_NODE_BYTES] = {(uint8_t)(node->partition >> 8),
                                      (uint8_t)node->partition,
                                      node->level,
                                      (uint8_t)(node->index >> 24),
                                      (uint8_t)(node->index >> 16),
                                      (uint8_t)(node->index >> 8),
                                      (uint8_t)node->index};
    bytes_put_u64(bytes + 7, node->hash);
    return buf_append(out, bytes, sizeof bytes);
}

bool exchange_unpack(struct resp_slice *at, struct tree_node *out) {
    const uint8_t *b = at->data;
    if (at->len < TREE_NODE_BYTES)
        return false;
    out->partition = (uint16_t)(b[0] << 8 | b[1]);
    out->level = b[2];
    out->index = (uint32_t)b[3] << 24 | (uint32_t)b[4] << 16 | (uint32_t)b[5] << 8 | b[6];
    out->hash = bytes_get_u64(b + 7);
    at->data += TREE_NODE_BYTES;
    at->len -= TREE_NODE_BYTES;
    return true;
}

/* ---- trees ---------------------------------------------------------------------------------------- */

bool exchange_load(struct exchange *x, uint16_t partition) {
    const struct store_view *view = &x->core->view;
    uint32_t slots = SLOT_COUNT / x->core->conf.partitions;
    if (view->leaves == NULL)
        return false;
    if (x->leaves == NULL) {
        x->leaf_count = slots * view->leaves_per_slot;
        if (merkle_init(&x->tree, x->leaf_count) != RD_OK)
            return false;
        x->leaves = calloc(x->leaf_count, sizeof *x->leaves);
        if (x->leaves == NULL) {
            merkle_free(&x->tree);
            return false;
        }
    }
    uint16_t first = slot_first(partition, x->core->conf.partitions);
    view->leaves(view->arg, first, (uint16_t)(first + slots - 1), x->leaves);
    merkle_load(&x->tree, x->leaves);
    return true;
}

/* Makes x->tree fit for `node`, `*loaded` being the partition it is of (-1: none). False: the node does not exist, or there is no
 * tree. */
static bool at_node(struct exchange *x, const struct tree_node *node, int32_t *loaded) {
    if (node->partition >= x->core->conf.partitions)
        return false;
    if (*loaded != node->partition && !exchange_load(x, node->partition))
        return false;
    *loaded = node->partition;
    return node->level < x->tree.levels && node->index < x->tree.width[node->level];
}

/* ---- answering ------------------------------------------------------------------------------------ */

/* Appends what this node has under a node that differs: its children, or the leaf itself. */
static enum rd_err answer_node(struct exchange *x, const struct tree_node *node, struct buf *out) {
    struct tree_node own = *node;
    if (node->level == 0) {
        own.hash = merkle_hash(&x->tree, 0, node->index);
        return exchange_pack(out, &own);
    }
    uint32_t first, count = merkle_children(&x->tree, node->level, node->index, &first);
    enum rd_err err = RD_OK;
    own.level = (uint8_t)(node->level - 1);
    for (uint32_t i = 0; i < count && err == RD_OK; i++) {
        own.index = first + i;
        own.hash = merkle_hash(&x->tree, own.level, own.index);
        err = exchange_pack(out, &own);
    }
    return err;
}

enum rd_err exchange_serve_nodes(struct exchange *x, uint16_t member, const struct wire_msg *msg) {
    struct wire_msg answer = {.kind = WIRE_NODES_ANSWER};
    struct resp_slice at = msg->nodes.nodes;
    struct buf nodes = {0};
    struct tree_node node;
    int32_t loaded = -1;
    enum rd_err err = at.len % TREE_NODE_BYTES == 0 ? RD_OK : RD_EPROTO;
    if (err != RD_OK)
        return err;
    if (x->core->view.leaves == NULL || x->core->store_err != RD_OK)
        err = RD_EREFUSED;
    while (err == RD_OK && buf_len(&nodes) < EXCHANGE_MAX_NODES * TREE_NODE_BYTES &&
           exchange_unpack(&at, &node)) {
        if (node.partition >= x->core->conf.partitions ||
            !exchange_shares(x, node.partition, member) || !at_node(x, &node, &loaded))
            continue;
        if (merkle_hash(&x->tree, node.level, node.index) != node.hash)
            err = answer_node(x, &node, &nodes);
    }
    answer.nodes_answer.id = msg->nodes.id;
    answer.nodes_answer.err = err;
    if (err == RD_OK)
        answer.nodes_answer.nodes = (struct resp_slice){buf_data(&nodes), buf_len(&nodes)};
    exchange_say(x, member, &answer);
    buf_free(&nodes);
    return RD_OK;
}

/* ---- asking --------------------------------------------------------------------------------------- */

static bool send_nodes(struct exchange *x, enum wire_kind kind, const struct buf *nodes) {
    struct wire_msg msg = {.kind = kind};
    msg.nodes.id = x->session->id;
    msg.nodes.nodes = (struct resp_slice){buf_data(nodes), buf_len(nodes)};
    x->session->awaiting = exchange_say(x, x->session->member, &msg);
    return x->session->awaiting;
}

/* They begin at a random partition, so that a difference which stays cannot keep the others from their turn. */
bool exchange_send_roots(struct exchange *x) {
    uint32_t partitions = x->core->conf.partitions;
    uint32_t from = (uint32_t)prng_below(&x->core->prng, partitions);
    struct buf nodes = {0};
    bool ok = true;
    for (uint32_t i = 0; i < partitions && ok; i++) {
        struct tree_node node = {.partition = (uint16_t)((from + i) % partitions)};
        if (!exchange_shares(x, node.partition, x->session->member))
            continue;
        ok = exchange_load(x, node.partition);
        if (!ok)
            break;
        node.level = (uint8_t)(x->tree.levels - 1);
        node.hash = merkle_root(&x->tree);
        ok = exchange_pack(&nodes, &node) == RD_OK;
    }
    ok = ok && buf_len(&nodes) > 0 && send_nodes(x, WIRE_ROOTS, &nodes);
    buf_free(&nodes);
    return ok;
}

/* Packs nodes [from, end) of a list with this node's hashes of now. */
static bool pack_own(struct exchange *x, const struct tree_node *list, uint32_t from, uint32_t end,
                     struct buf *out) {
    int32_t loaded = -1;
    for (uint32_t i = from; i < end; i++) {
        struct tree_node node = list[i];
        if (!at_node(x, &node, &loaded))
            return false;
        node.hash = merkle_hash(&x->tree, node.level, node.index);
        if (exchange_pack(out, &node) != RD_OK)
            return false;
    }
    return true;
}

bool exchange_send_frontier(struct exchange *x) {
    struct exchange_session *s = x->session;
    struct buf nodes = {0};
    uint32_t end = s->frontier_count, answers = 0;
    while (s->frontier_count > 0) { /* so many that all answers fit */
        answers += s->frontier[s->frontier_count - 1].level == 0 ? 1 : MERKLE_FANOUT;
        if (answers > EXCHANGE_MAX_NODES)
            break;
        s->frontier_count--;
    }
    bool ok = pack_own(x, s->frontier, s->frontier_count, end, &nodes) &&
              send_nodes(x, WIRE_NODES, &nodes);
    buf_free(&nodes);
    return ok;
}

static int by_place(const void *left, const void *right) {
    const struct tree_node *a = left, *b = right;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

void exchange_keep_found(struct exchange *x) {
    struct exchange_session *s = x->session;
    qsort(s->found, s->found_count, sizeof *s->found, by_place);
    memcpy(s->kept, s->found, s->found_count * sizeof *s->found);
    s->kept_count = s->found_count;
    s->phase = EXCHANGE_LIST;
}

bool exchange_send_found(struct exchange *x) {
    struct exchange_session *s = x->session;
    struct buf nodes = {0};
    if (s->looked == 0)
        qsort(s->found, s->found_count, sizeof *s->found, by_place);
    uint32_t end = s->looked + EXCHANGE_MAX_NODES;
    if (end > s->found_count)
        end = s->found_count;
    bool ok = pack_own(x, s->found, s->looked, end, &nodes) && send_nodes(x, WIRE_NODES, &nodes);
    s->looked = end;
    buf_free(&nodes);
    return ok;
}

static void add_leaf(struct exchange_session *s, const struct tree_node *node) {
    bool again = s->phase == EXCHANGE_LOOK;
    struct tree_node *list = again ? s->kept : s->found;
    uint32_t *count = again ? &s->kept_count : &s->found_count;
    if (*count == EXCHANGE_MAX_LEAVES)
        s->more = true;
    else if (!again || *count == 0 || by_place(&list[*count - 1], node) < 0)
        list[(*count)++] = *node; /* the second look comes in order: nothing twice */
}

/* A node whose hash on the other side is known, and differs: its children are asked about, or it is a leaf. */
static void add_different(struct exchange *x, const struct tree_node *node) {
    struct exchange_session *s = x->session;
    if (node->level == 0) {
        add_leaf(s, node);
        return;
    }
    if (s->phase == EXCHANGE_LOOK)
        return; /* only leaves were asked about */
    uint32_t first, count = merkle_children(&x->tree, node->level, node->index, &first);
    if (s->frontier_count + count > EXCHANGE_MAX_FRONTIER) {
        s->more = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        s->frontier[s->frontier_count++] = (struct tree_node){
            .partition = node->partition, .level = (uint8_t)(node->level - 1), .index = first + i};
}

enum rd_err exchange_take_nodes(struct exchange *x, struct resp_slice nodes) {
    struct exchange_session *s = x->session;
    struct tree_node node;
    int32_t loaded = -1;
    if (nodes.len % TREE_NODE_BYTES != 0)
        return RD_EPROTO;
    budget_spend(x->budget, nodes.len);
    if (nodes.len >= EXCHANGE_MAX_NODES * TREE_NODE_BYTES && s->phase == EXCHANGE_ROOTS)
        s->more = true; /* the answer may have been cut short */
    while (exchange_unpack(&nodes, &node)) {
        if (node.partition >= x->core->conf.partitions ||
            !exchange_shares(x, node.partition, s->member) || !at_node(x, &node, &loaded))
            continue;
        if (merkle_hash(&x->tree, node.level, node.index) != node.hash)
            add_different(x, &node);
    }
    return RD_OK;
}
