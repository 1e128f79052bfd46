/* Numeric addresses; see address.h. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

bool net_address_parse(const char *text, uint16_t port, struct net_address *out) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found;
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    /* inet_aton's short forms ("1", "127.1") are names to us: what is meant is said in full. */
    struct in_addr v4;
    if (strchr(text, ':') == NULL && inet_pton(AF_INET, text, &v4) != 1) {
        return false;
    }
    if (getaddrinfo(text, service, &hints, &found) != 0) {
        return false;
    }
    memset(out, 0, sizeof *out);
    memcpy(&out->storage, found->ai_addr, found->ai_addrlen);
    out->len = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

static const struct in6_addr *as_v6(const struct net_address *address) {
    return address->storage.ss_family == AF_INET6
               ? &((const struct sockaddr_in6 *)&address->storage)->sin6_addr
               : NULL;
}

static const struct in_addr *as_v4(const struct net_address *address) {
    return address->storage.ss_family == AF_INET
               ? &((const struct sockaddr_in *)&address->storage)->sin_addr
               : NULL;
}

/* The four bytes of an IPv4 address, plain or inside IPv6; false if it is neither. */
static bool v4_bytes(const struct net_address *address, uint8_t out[4]) {
    const struct in_addr *v4 = as_v4(address);
    const struct in6_addr *v6 = as_v6(address);
    if (v4 != NULL) {
        memcpy(out, &v4->s_addr, 4);
        return true;
    }
    if (v6 != NULL && IN6_IS_ADDR_V4MAPPED(v6)) {
        memcpy(out, v6->s6_addr + 12, 4);
        return true;
    }
    return false;
}

void net_address_host(const struct net_address *address, char out[NET_ADDRESS_TEXT]) {
    uint8_t v4[4];
    if (v4_bytes(address, v4)) {
        snprintf(out, NET_ADDRESS_TEXT, "%u.%u.%u.%u", v4[0], v4[1], v4[2], v4[3]);
        return;
    }
    if (as_v6(address) == NULL ||
        getnameinfo((const struct sockaddr *)&address->storage, address->len, out, NET_ADDRESS_TEXT,
                    NULL, 0, NI_NUMERICHOST) != 0) {
        snprintf(out, NET_ADDRESS_TEXT, "?");
    }
}

uint16_t net_address_port(const struct net_address *address) {
    switch (address->storage.ss_family) {
    case AF_INET:
        return ntohs(((const struct sockaddr_in *)&address->storage)->sin_port);
    case AF_INET6:
        return ntohs(((const struct sockaddr_in6 *)&address->storage)->sin6_port);
    default:
        return 0;
    }
}

void net_address_text(const struct net_address *address, char out[NET_ADDRESS_TEXT]) {
    char host[NET_ADDRESS_TEXT];
    net_address_host(address, host);
    bool brackets = strchr(host, ':') != NULL;
    snprintf(out, NET_ADDRESS_TEXT, "%s%.52s%s:%u", brackets ? "[" : "", host, brackets ? "]" : "",
             (unsigned)net_address_port(address));
}

bool net_address_is_loopback(const struct net_address *address) {
    uint8_t v4[4];
    if (v4_bytes(address, v4)) {
        return v4[0] == 127;
    }
    const struct in6_addr *v6 = as_v6(address);
    return v6 != NULL && IN6_IS_ADDR_LOOPBACK(v6);
}

bool net_address_equal(const struct net_address *a, const struct net_address *b) {
    char a_text[NET_ADDRESS_TEXT];
    char b_text[NET_ADDRESS_TEXT];
    net_address_text(a, a_text);
    net_address_text(b, b_text);
    return strcmp(a_text, b_text) == 0;
}

bool net_address_peer(int fd, struct net_address *out) {
    memset(out, 0, sizeof *out);
    out->len = sizeof out->storage;
    return getpeername(fd, (struct sockaddr *)&out->storage, &out->len) == 0;
}

bool net_address_local(int fd, struct net_address *out) {
    memset(out, 0, sizeof *out);
    out->len = sizeof out->storage;
    return getsockname(fd, (struct sockaddr *)&out->storage, &out->len) == 0;
}
