/* Spelling: one place, so that DYNSIBLINGS, DYNREPLICAS, DYNPREFLIST and DYNCLUSTER agree. */
#include "server/describe.h"

#include <inttypes.h>

#include "base/text.h"

void describe_id(const struct node_id *id, struct resp_writer *w) {
    char hex[NODE_ID_HEX + 1];
    text_hex(id->bytes, sizeof(id->bytes), hex);
    resp_write_bulk(w, hex, NODE_ID_HEX);
}

void describe_address(const struct node_address *address, struct resp_writer *w) {
    resp_write_textf(w, "%s:%u", address->host, (unsigned)address->port);
}

void describe_dot(const struct dot *dot, struct resp_writer *w) {
    resp_write_textf(w, "%016" PRIx64 ".%" PRIu32 ":%" PRIu64, dot->actor.incarnation,
                     dot->actor.epoch, dot->counter);
}

enum rd_err describe_version(const struct version *version, struct buf *out) {
    enum rd_err err = RD_OK;
    for (uint32_t i = 0; i < version->count && err == RD_OK; i++) {
        const struct version_entry *entry = &version->entries[i];
        err = buf_printf(out, "%s%016" PRIx64 ".%" PRIu32 ":%" PRIu64, i == 0 ? "" : " ",
                         entry->actor.incarnation, entry->actor.epoch, entry->counter);
    }
    return err;
}

const char *describe_state(enum member_state state) {
    switch (state) {
    case MEMBER_UP:
        return "up";
    case MEMBER_SUSPECT:
        return "suspect";
    default:
        return "down";
    }
}

const char *describe_status(enum member_status status) {
    switch (status) {
    case MEMBER_JOINING:
        return "joining";
    case MEMBER_MEMBER:
        return "member";
    case MEMBER_LEAVING:
        return "leaving";
    default:
        return "removed";
    }
}
