/* Numeric addresses: IPv4 and IPv6, with a port. Nothing here asks a name server. */
#ifndef RD_NET_ADDRESS_H
#define RD_NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct net_address {
    struct sockaddr_storage storage;
    socklen_t len;
};

/* The longest text of an address with a port, with its terminating zero. */
#define NET_ADDRESS_TEXT 64

/* Reads a literal such as "127.0.0.1" or "::1" ("fe80::1%eth0" too). Returns false if it is none. */
bool net_address_parse(const char *text, uint16_t port, struct net_address *out);

/* Writes the host part, "127.0.0.1" or "::1"; an IPv4 address inside IPv6 as IPv4. */
void net_address_host(const struct net_address *address, char out[NET_ADDRESS_TEXT]);

/* Writes host and port, "127.0.0.1:6379" or "[::1]:6379". */
void net_address_text(const struct net_address *address, char out[NET_ADDRESS_TEXT]);

/* The port; 0 for other families. */
uint16_t net_address_port(const struct net_address *address);

/* True for 127.0.0.0/8, ::1 and the former inside IPv6. */
bool net_address_is_loopback(const struct net_address *address);

/* True if both have the same host and port. */
bool net_address_equal(const struct net_address *a, const struct net_address *b);

/* The addresses of both ends of a connected socket. Returns false if it is not connected. */
bool net_address_peer(int fd, struct net_address *out);
bool net_address_local(int fd, struct net_address *out);

#endif
