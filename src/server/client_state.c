/* What a connection knows about itself, changed by commands and shown by CLIENT LIST. Not here: its bytes (client.c). */
#include "server/client.h"

#include <stdlib.h>
#include <string.h>

#include "server/client_list.h"
#include "server/clock.h"
#include "server/command.h"
#include "server/config.h"
#include "server/log.h"
#include "server/server.h"

void client_reset(struct client *client) {
    client->proto = 2;
    client->authenticated = client->clients->server->config->requirepass[0] == '\0';
    resp_command_set_authenticated(&client->reader, client->authenticated);
    client->monotonic = false;
    client->r = client->w = 0;
    client->reply_mode = CLIENT_REPLY_ON;
    client->skip_next = false;
    free(client->name);
    client->name = NULL;
}

bool client_text_is_plain(const struct resp_slice *text) {
    for (size_t i = 0; i < text->len; i++) {
        if (text->data[i] < '!' || text->data[i] > '~') {
            return false;
        }
    }
    return true;
}

enum rd_err client_set_text(char **field, const void *bytes, size_t len) {
    char *copy = NULL;
    if (len > 0) {
        copy = malloc(len + 1);
        if (copy == NULL) {
            return RD_ENOMEM;
        }
        memcpy(copy, bytes, len);
        copy[len] = '\0';
    }
    free(*field);
    *field = copy;
    return RD_OK;
}

void client_touch(struct client *client) {
    if (!client->dirty) {
        client->dirty = true;
        client->next_dirty = client->clients->first_dirty;
        client->clients->first_dirty = client;
    }
}

void client_check_output(struct client *client) {
    struct server *server = client->clients->server;
    const struct config_output_limit *limit = &server->config->output_limits[CLIENT_CLASS_NORMAL];
    uint64_t unsent = buf_len(&client->out);
    if (limit->soft_bytes == 0 || unsent < limit->soft_bytes) {
        client->soft_since_us = 0;
    } else if (client->soft_since_us == 0) {
        client->soft_since_us = clock_now().mono_us;
    }
    bool hard = limit->hard_bytes > 0 && unsent >= limit->hard_bytes;
    bool soft = client->soft_since_us > 0 && clock_now().mono_us - client->soft_since_us >
                                                 (uint64_t)limit->soft_seconds * 1000000;
    if ((hard || soft) && !client->doomed) {
        log_line(
            server->log, LOG_WARNING,
            "Client id=%llu addr=%s closed: its unsent replies reached client-output-buffer-limit.",
            (unsigned long long)client->id, client->address);
        server->counters.output_limit_disconnects++;
        client->doomed = true;
        client_touch(client);
    }
}

enum rd_err client_describe(const struct client *client, struct buf *out) {
    uint64_t now = clock_now().mono_us;
    return buf_printf(out,
                      "id=%llu addr=%s laddr=%s fd=%d name=%s age=%llu idle=%llu flags=N db=0 "
                      "sub=0 psub=0 ssub=0 multi=-1 "
                      "qbuf=%zu qbuf-free=%zu argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=%zu oll=0 "
                      "omem=%zu tot-mem=%zu events=%s%s cmd=%s "
                      "user=default redir=-1 resp=%d lib-name=%s lib-ver=%s",
                      (unsigned long long)client->id, client->address, client->local_address,
                      client->fd, client->name == NULL ? "" : client->name,
                      (unsigned long long)((now - client->born_us) / 1000000),
                      (unsigned long long)((now - client->active_us) / 1000000),
                      buf_len(&client->in), client->in.cap - buf_len(&client->in),
                      buf_len(&client->out), client->out.cap,
                      client->in.cap + client->out.cap + sizeof(*client),
                      client->reading ? "r" : "", client->writing ? "w" : "",
                      client->last_command == NULL ? "NULL" : client->last_command->name,
                      client->proto, client->lib_name == NULL ? "" : client->lib_name,
                      client->lib_version == NULL ? "" : client->lib_version);
}
