/* Errors as values.
 *
 * Every function that can fail at run time returns `enum rd_err`; 0 (RD_OK) is success. Outputs are
 * the last arguments and stay untouched on error. Programmer errors are assert()ed instead, and bad
 * input from outside is always one of these values, never an assertion.
 */
#ifndef RD_BASE_ERR_H
#define RD_BASE_ERR_H

#define RD_ERR_LIST(X)                                                                             \
    X(RD_OK, "ok")                                                                                 \
    X(RD_ENOMEM, "out of memory")                                                                  \
    X(RD_EINCOMPLETE, "more bytes are needed")                                                     \
    X(RD_EPROTO, "malformed input")                                                                \
    X(RD_ETOOBIG, "a limit was exceeded")                                                          \
    X(RD_ENOTFOUND, "not found")                                                                   \
    X(RD_ECORRUPT, "stored data is damaged")                                                       \
    X(RD_EIO, "input/output error")                                                                \
    X(RD_EFULL, "no space left")                                                                   \
    X(RD_ECONF, "invalid configuration")                                                           \
    X(RD_EEXIST, "already exists")                                                                 \
    X(RD_EBADCONTEXT, "the context is damaged or belongs to another key")                          \
    X(RD_ENOQUORUM, "too few replicas could answer")                                               \
    X(RD_EUNKNOWN, "the outcome is unknown")                                                       \
    X(RD_ETOOMANYSIBLINGS, "too many siblings")                                                    \
    X(RD_ETOOLARGE, "the object would be too large")                                               \
    X(RD_EOVERLOADED, "too many requests in flight")                                               \
    X(RD_ECLUSTERDOWN, "the cluster is not formed yet")                                            \
    X(RD_EREMOVED, "the node has no place in the cluster any more")                                \
    X(RD_EREFUSED, "refused by the peer")                                                          \
    X(RD_ECLOSED, "closed")

#define RD_ERR_ENUM(name, text) name,
enum rd_err { RD_ERR_LIST(RD_ERR_ENUM) RD_ERR_COUNT };
#undef RD_ERR_ENUM

/* Returns a short lower-case sentence for `err` (static storage, never NULL). */
const char *rd_err_text(enum rd_err err);

/* Returns the symbolic name, such as "RD_ENOMEM" (static storage, never NULL). */
const char *rd_err_name(enum rd_err err);

#endif
