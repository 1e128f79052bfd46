/* Places that change hands: what a node does when it meets somebody who claims them, and when it hears that somebody has them. */
#include <assert.h>
#include <stdio.h>

#include "base/text.h"
#include "replication/node_private.h"

/* At the address of `member` an empty node answers: it takes the places, or is told why not. */
static void on_stranger(struct node *node, uint16_t member, struct link *link) {
    char why[REPLACE_REASON_BYTES], reason[HANDSHAKE_REASON_BYTES], hex[NODE_ID_HEX + 1];
    struct node_id gone = node->members.items[member].id, by = link->theirs.node;
    if (replace_may(&node->replace, member, why)) {
        enum rd_err err = birth_replace(&node->birth, &gone, &by);
        if (err == RD_OK) {
            peers_close(&node->peers, link); /* it is dialled again, as a member */
            return;
        }
        snprintf(why, sizeof(why), "%s", rd_err_text(err));
    }
    text_hex(gone.bytes, NODE_ID_BYTES, hex);
    snprintf(reason, sizeof(reason), "you are not node %.8s, and cannot take its places yet: %s",
             hex, why);
    peers_refuse(&node->peers, link, reason, true);
}

/* A node whose places another has: it hears so, and is shown out. */
static void on_gone(struct node *node, struct link *link) {
    struct node_id holder =
        successors_holder(&node->birth.certificate.successors, &link->theirs.node);
    char reason[HANDSHAKE_REASON_BYTES], hex[NODE_ID_HEX + 1];
    text_hex(holder.bytes, NODE_ID_BYTES, hex);
    snprintf(reason, sizeof(reason), "node %.8s has taken your places while you were away", hex);
    birth_tell_over(&node->birth, link, false);
    peers_refuse(&node->peers, link, reason, false);
}

void node_on_news(struct node *node, const struct peers_news *news) {
    struct link *link = peers_link(&node->peers, news->link);
    if (link == NULL)
        return;
    switch (news->change) {
    case PEERS_SAME:
        break;
    case PEERS_READY:
        node_greet(node, news->member, link);
        break;
    case PEERS_STRANGER:
        on_stranger(node, news->member, link);
        break;
    case PEERS_GONE:
        on_gone(node, link);
        break;
    }
}

/* What was asked of a member that is gone: its answers do not count any more. */
static void end_requests(struct node *node, uint16_t member) {
    struct request *request = node->co.deadlines, *next;
    for (; request != NULL; request = next) {
        next = request->next;
        if (request->kind == REQUEST_WRITE)
            op_write_gone(&node->co, request, member);
    }
}

void node_places_changed(struct node *node) {
    node->places_epoch = node->birth.epoch;
    for (uint16_t i = 0; i < node->members.count; i++)
        if (i != MEMBER_SELF &&
            successors_is_gone(&node->birth.certificate.successors, &node->members.items[i].id)) {
            end_requests(node, i);
            peers_end(&node->peers, i);
            exchange_gone(&node->exchange, i);
        }
    reap_give_up(&node->reap);
    for (uint16_t i = 1; node->birth.gone && i < node->members.count; i++)
        peers_end(&node->peers, i);
}
