/* What every TCP socket here is given before it is used. */
#ifndef RD_NET_SOCKET_H
#define RD_NET_SOCKET_H

#include <stdbool.h>

/* Makes `fd` nonblocking and close-on-exec. Returns false with errno. */
bool socket_prepare(int fd);

/* Sends small pieces at once. Failure is harmless and not reported: `fd` may be no TCP socket (a test's socketpair). */
void socket_no_delay(int fd);

/* Lets TCP probe a silent peer after `seconds`, and give up after three more thirds of that time; 0: no probes. As
 * socket_no_delay. */
void socket_keepalive(int fd, int seconds);

/* Lets unacknowledged bytes fail the connection after `ms`. As socket_no_delay. */
void socket_user_timeout(int fd, unsigned ms);

#endif
