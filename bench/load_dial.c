/* bench/load_dial: see the header. */
#include "bench/load_dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "resp/reader.h"

int dial(const struct load_node *node, char reason[LOAD_REASON_BYTES]) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", node->port);
    int failed = getaddrinfo(node->host, port, &hints, &found);
    if (failed != 0) {
        snprintf(reason, LOAD_REASON_BYTES, "%s: %s", node->host, gai_strerror(failed));
        return -1;
    }
    int fd = -1;
    for (struct addrinfo *at = found; at != NULL && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
            int error = errno;
            close(fd);
            fd = -1;
            errno = error;
        }
    }
    if (fd < 0) {
        snprintf(reason, LOAD_REASON_BYTES, "%s:%u: %s", node->host, node->port, strerror(errno));
    } else {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    }
    freeaddrinfo(found);
    return fd;
}

/* Sends `text` as an inline command and reads one reply into `reader`, whose text lives in `in`. */
static const struct resp_value *ask(int fd, const char *text, struct buf *in,
                                    struct resp_reader *reader, char reason[LOAD_REASON_BYTES]) {
    char line[128];
    int len = snprintf(line, sizeof line, "%s\r\n", text);
    const struct resp_value *root = NULL;
    if (send(fd, line, (size_t)len, MSG_NOSIGNAL) == len) {
        for (;;) {
            uint8_t *at = NULL;
            if (buf_reserve(in, 65536, &at) != RD_OK) {
                break;
            }
            ssize_t got = recv(fd, at, 65536, 0);
            if (got <= 0) {
                break;
            }
            buf_commit(in, (size_t)got);
            size_t consumed = 0;
            enum rd_err err = resp_reader_read(reader, buf_data(in), buf_len(in), &consumed, &root);
            if (err != RD_EINCOMPLETE) {
                break;
            }
        }
    }
    if (root == NULL) {
        snprintf(reason, LOAD_REASON_BYTES, "no reply to %s", text);
    } else if (root->type == RESP_ERROR) {
        snprintf(reason, LOAD_REASON_BYTES, "%s: %.*s", text, (int)root->text.len,
                 (const char *)root->text.data);
        root = NULL;
    }
    return root;
}

bool dial_set_quorum(int fd, unsigned r, unsigned w, char reason[LOAD_REASON_BYTES]) {
    char text[64] = "DYNQUORUM";
    size_t len = strlen(text);
    if (r > 0) {
        len += (size_t)snprintf(text + len, sizeof text - len, " R %u", r);
    }
    if (w > 0) {
        snprintf(text + len, sizeof text - len, " W %u", w);
    }
    struct resp_reader_limits limits;
    resp_reader_limits_default(&limits);
    struct resp_reader reader;
    resp_reader_init(&reader, &limits);
    struct buf in = {0};
    bool good = ask(fd, text, &in, &reader, reason) != NULL;
    resp_reader_free(&reader);
    buf_free(&in);
    return good;
}

/* The number of a node among those known so far; LOAD_NODES_MAX if there are too many. */
static size_t number_of(struct load_conf *conf, const struct resp_value *node) {
    if (node->type != RESP_ARRAY || node->count < 2) {
        return LOAD_NODES_MAX;
    }
    const struct resp_value *host = resp_value_child(node, 0);
    const struct resp_value *port = resp_value_child(node, 1);
    if (host->text.len == 0 || host->text.len >= LOAD_HOST_BYTES) {
        return LOAD_NODES_MAX;
    }
    struct load_node named = {.port = (uint16_t)port->integer};
    memcpy(named.host, host->text.data, host->text.len);
    size_t i = 0;
    while (i < conf->node_count &&
           (conf->nodes[i].port != named.port || strcmp(conf->nodes[i].host, named.host) != 0)) {
        i++;
    }
    if (i == conf->node_count && i < LOAD_NODES_MAX) {
        conf->nodes[conf->node_count++] = named;
    }
    return i;
}

static bool read_range(const struct resp_value *range, struct load_conf *conf,
                       uint64_t homes[LOAD_SLOTS]) {
    if (range->type != RESP_ARRAY || range->count < 3) {
        return false;
    }
    int64_t first = resp_value_child(range, 0)->integer;
    int64_t last = resp_value_child(range, 1)->integer;
    if (first < 0 || last >= LOAD_SLOTS) {
        return false;
    }
    for (uint32_t i = 2; i < range->count; i++) {
        size_t node = number_of(conf, resp_value_child(range, i));
        if (node == LOAD_NODES_MAX) {
            return false;
        }
        for (int64_t slot = first; slot <= last; slot++) {
            homes[slot] |= UINT64_C(1) << node;
        }
    }
    return true;
}

bool dial_slots(int fd, struct load_conf *conf, uint64_t homes[LOAD_SLOTS],
                char reason[LOAD_REASON_BYTES]) {
    struct resp_reader_limits limits;
    resp_reader_limits_default(&limits);
    struct resp_reader reader;
    resp_reader_init(&reader, &limits);
    struct buf in = {0};
    memset(homes, 0, LOAD_SLOTS * sizeof *homes);
    conf->node_count = 0;
    const struct resp_value *slots = ask(fd, "CLUSTER SLOTS", &in, &reader, reason);
    bool good = slots != NULL && slots->type == RESP_ARRAY;
    if (good) {
        const struct resp_value *range = slots + 1;
        for (uint32_t i = 0; i < slots->count && good; i++, range += range->span) {
            good = read_range(range, conf, homes);
        }
        if (!good || conf->node_count == 0) {
            snprintf(reason, LOAD_REASON_BYTES, "CLUSTER SLOTS says what is not understood");
            good = false;
        }
    }
    for (int slot = 0; slot < LOAD_SLOTS && good; slot++) {
        if (homes[slot] == 0) {
            snprintf(reason, LOAD_REASON_BYTES, "CLUSTER SLOTS names no node for slot %d", slot);
            good = false;
        }
    }
    resp_reader_free(&reader);
    buf_free(&in);
    return good;
}
