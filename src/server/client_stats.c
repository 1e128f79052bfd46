/* Counters of replies and commands. Rates are sampled by client_list.c. */
#include "server/client_stats.h"

#include <string.h>

#include "server/client_list.h"
#include "server/command_table.h"
#include "server/server.h"

void client_stats_count_error(struct clients *clients, const char *text, size_t len) {
    clients->server->counters.errors_replied++;
    char code[ERROR_CODE_BYTES] = "ERR";
    size_t code_len = 0;
    while (code_len < len && text[code_len] != ' ' && text[code_len] != '\r' &&
           code_len < sizeof(code) - 1) {
        code_len++;
    }
    if (code_len > 0) {
        memcpy(code, text, code_len);
        code[code_len] = '\0';
    }
    for (size_t i = 0; i < clients->error_count; i++) {
        if (strcmp(clients->errors[i].code, code) == 0) {
            clients->errors[i].count++;
            return;
        }
    }
    if (clients->error_count < ERROR_CODES_MAX) {
        struct error_stats *stats = &clients->errors[clients->error_count++];
        memcpy(stats->code, code, sizeof(code));
        stats->count = 1;
    }
}

void client_stats_reset(struct clients *clients) {
    clients->server->counters = (struct server_counters){0};
    memset(clients->command_stats, 0,
           command_total(clients->commands) * sizeof(*clients->command_stats));
    clients->error_count = 0;
    clients->rate_count = 0;
}
