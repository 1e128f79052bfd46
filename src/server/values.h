/* The functions on values (value.h), one per command; what each does is said by the row of its name in command_rows.c. */
#ifndef RD_SERVER_VALUES_H
#define RD_SERVER_VALUES_H

#include "server/value.h"

/* Each computes the command of its name, as value.h says. */
value_fn value_append;
value_fn value_bitcount;
value_fn value_bitfield;
value_fn value_bitpos;
value_fn value_dump;
value_fn value_expire;
value_fn value_expiretime;
value_fn value_get_range;
value_fn value_getbit;
value_fn value_getdel;
value_fn value_getex;
value_fn value_getset;
value_fn value_incr;
value_fn value_incrbyfloat;
value_fn value_memory_usage;
value_fn value_object;
value_fn value_persist;
value_fn value_restore;
value_fn value_set_options;
value_fn value_setbit;
value_fn value_setnx;
value_fn value_setrange;

/* True if the arguments of a SET ask for more than a plain write: NX, XX, GET or KEEPTTL. */
bool value_set_reads(const struct resp_slice *argv, size_t argc);

#endif
