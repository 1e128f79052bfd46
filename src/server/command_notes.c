/* Remarks on commands. Compared with Redis itself by redis-tests/compare_with_redis.py: each command of a redis-server must be in the table or here.
 */
#include "server/command_notes.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Said of each command that reads a value and writes another one. */
#define ONE_HOME                                                                                   \
    "Runs at the key's first healthy home, one at a time for each key. During a partition both "   \
    "sides accept it: it is no lock."
#define EACH_ON_ITS_OWN                                                                            \
    "Each key is handled on its own: other clients may see some keys before the others."

static const struct command_note notes[] = {
    {"append", ONE_HOME},
    {"bitcount", "The whole value is read, whatever the range."},
    {"bitfield", ONE_HOME},
    {"bitop",
     "The sources are read one after the other, and the result is written as by `SET`: not "
     "one atomic step. The keys may be in different slots."},
    {"client|list", "Shows the connections of the node that is asked, and no fields about "
                    "subscriptions or memory that have no meaning here."},
    {"cluster|countkeysinslot", "Counts what the node that is asked holds as a replica."},
    {"cluster|nodes", "Every node is a master: of the slots whose first healthy home it is. Epochs "
                      "only number the members."},
    {"cluster|shards", "A range of slots is a shard, its homes are the shard's nodes."},
    {"cluster|slots",
     "A node is master of the slots whose first healthy home it is, and replica of "
     "those it holds besides; all of them take writes."},
    {"config|get", "Redynamo's own directives; see redynamo.conf(5)."},
    {"config|set", "What is fixed at birth or at start is immutable, as are Redis's immutable "
                   "parameters."},
    {"copy", "Reads the source and writes the destination: not one atomic step. There is one "
             "database, so `DB` takes only 0."},
    {"dbsize",
     "The sum of counters that the nodes keep, approximate while replicas differ. Keys that have "
     "expired and not been removed yet count."},
    {"decr", ONE_HOME},
    {"decrby", ONE_HOME},
    {"del", "A write that overlaps with it in time may survive it. " EACH_ON_ITS_OWN},
    {"dump", "In the format of Redis 7.0, which 7.2 reads too, and never compressed."},
    {"exists", EACH_ON_ITS_OWN},
    {"expire", ONE_HOME},
    {"flushall",
     "Deletes what the replicas hold when it comes to each key: what is written while it "
     "runs may survive. `ASYNC` and `SYNC` make no difference."},
    {"flushdb", "The same as `FLUSHALL`: there is one database."},
    {"get",
     "Of concurrent values (siblings) the newest by hybrid logical clock, the same on every node. "
     "`DYNGET` shows all."},
    {"getdel", ONE_HOME},
    {"getex", ONE_HOME},
    {"getset", ONE_HOME},
    {"incr", ONE_HOME},
    {"incrby", ONE_HOME},
    {"incrbyfloat", ONE_HOME},
    {"info", "Redis's sections, and `# Dynamo`. `redis_version` is the level of compatibility, "
             "`redynamo_version` its own."},
    {"keys", "Lists the whole cluster, not the node alone. In the order of slots."},
    {"memory|usage", "An estimate of what the key takes in memory on each replica: other numbers. "
                     "`SAMPLES` means nothing for strings."},
    {"mget", EACH_ON_ITS_OWN},
    {"mset", EACH_ON_ITS_OWN},
    {"msetnx", "Looks whether any key exists, then sets them one by one: two that run at the same "
               "time may both succeed."},
    {"object|encoding", "Follows from the bytes alone. Redis also remembers that a value was "
                        "changed in place, and then says `raw`."},
    {"object|freq",
     "There are no such counters: always the error of a server without an LFU policy."},
    {"object|idletime", "Reads are not noted: the seconds since the value was written."},
    {"randomkey", "Keys in crowded slots come less often."},
    {"rename", "Writes the new key, then deletes what was read of the old one: not one atomic "
               "step. What is written "
               "to the old key meanwhile stays there. The keys may be in different slots."},
    {"renamenx", "As `RENAME`. The new key is set by one read-modify-write: two that run at the "
                 "same time cannot "
                 "both succeed, unless a partition keeps their nodes apart."},
    {"restore",
     "Takes what `DUMP` of Redynamo or of a Redis of the same format has given, for strings."},
    {"scan", "Lists the whole cluster, not the node alone: a cluster-aware client that asks every "
             "node gets every key from each. Any node goes on from a cursor. A page may be "
             "longer than `COUNT`, since it ends between two slots."},
    {"select", "There is only number 0."},
    {"set", "Replaces everything that was acknowledged before, whichever node took it; two that "
            "overlap in "
            "time both survive as siblings until the next write."},
    {"setbit", ONE_HOME},
    {"setnx", ONE_HOME},
    {"setrange", ONE_HOME},
    {"shutdown", "Nothing has to be saved: `SAVE` and `NOSAVE` make no difference."},
    {"touch", "Reads are not noted: only counts the keys."},
    {"type", "`string` or `none`."},
    {"unlink", "As `DEL`."},
    {"wait", "Counts the replicas beyond the coordinator that hold this connection's last write, "
             "or what came behind "
             "it; a write has W - 1 of them when it is acknowledged. Of a command that writes "
             "several keys the "
             "last one counts."},
};

static const struct command_absence absences[] = {
    {"Other types",
     "blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin geoadd geodist geohash geopos "
     "georadius georadius_ro georadiusbymember georadiusbymember_ro geosearch geosearchstore hdel "
     "hexists hget hgetall hincrby hincrbyfloat hkeys hlen hmget hmset hrandfield hscan hset "
     "hsetnx "
     "hstrlen hvals lindex linsert llen lmove lmpop lpop lpos lpush lpushx lrange lrem lset ltrim "
     "pfadd pfcount pfdebug pfmerge pfselftest rpop rpoplpush rpush rpushx sadd scard sdiff "
     "sdiffstore sinter sintercard sinterstore sismember smembers smismember smove sort sort_ro "
     "spop "
     "srandmember srem sscan sunion sunionstore xack xadd xautoclaim xclaim xdel xgroup "
     "xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy xgroup|help "
     "xgroup|setid xinfo xinfo|consumers xinfo|groups xinfo|help xinfo|stream xlen xpending xrange "
     "xread xreadgroup xrevrange xsetid xtrim zadd zcard zcount zdiff zdiffstore zincrby zinter "
     "zintercard zinterstore zlexcount zmpop zmscore zpopmax zpopmin zrandmember zrange "
     "zrangebylex "
     "zrangebyscore zrangestore zrank zrem zremrangebylex zremrangebyrank zremrangebyscore "
     "zrevrange "
     "zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion zunionstore",
     "Strings are the only type so far. Other types need merges of their own, so that concurrent "
     "changes of one list or set do not replace each other."},
    {"Transactions", "discard exec multi unwatch watch",
     "Not yet: `MULTI` will be one atomic batch where all keys share a slot. `WATCH` would need "
     "consensus; a context (`DYNGET`, `DYNSET`) is what tells of concurrent changes here."},
    {"Scripts and functions",
     "eval eval_ro evalsha evalsha_ro fcall fcall_ro function function|delete function|dump "
     "function|flush function|help function|kill function|list function|load function|restore "
     "function|stats script script|debug script|exists script|flush script|help script|kill "
     "script|load",
     "A script runs at one place and counts on being alone there. Here each key has several homes, "
     "and all of them take writes."},
    {"Publish and subscribe",
     "psubscribe publish pubsub pubsub|channels pubsub|help pubsub|numpat pubsub|numsub "
     "pubsub|shardchannels pubsub|shardnumsub punsubscribe spublish ssubscribe subscribe "
     "sunsubscribe unsubscribe",
     "Messages are not data that replicas keep. Not planned."},
    {"Replication and failover", "failover psync replconf replicaof role slaveof sync waitaof",
     "There are no primaries and no replicas of nodes: each partition has N homes, all of which "
     "take writes, and nothing fails over."},
    {"Snapshots and append-only files", "bgrewriteaof bgsave lastsave save",
     "The store is on disk all the time; there is nothing to save. `appendfsync` says what an "
     "acknowledgement is worth."},
    {"Changing the cluster, Redis's way",
     "cluster|addslots cluster|addslotsrange cluster|bumpepoch cluster|count-failure-reports "
     "cluster|delslots cluster|delslotsrange cluster|failover cluster|flushslots cluster|forget "
     "cluster|getkeysinslot cluster|links cluster|meet cluster|myshardid cluster|replicas "
     "cluster|replicate cluster|reset cluster|saveconfig cluster|set-config-epoch cluster|setslot "
     "cluster|slaves migrate restore-asking",
     "Slots follow from the members, by consistent hashing; nobody assigns them. `DYNCLUSTER` "
     "shows "
     "the cluster."},
    {"More than one database", "move swapdb", "There is one database, number 0."},
    {"Connections",
     "client|caching client|getredir client|kill client|no-evict client|no-touch client|pause "
     "client|tracking client|trackinginfo client|unblock client|unpause",
     "Nothing is evicted, nothing blocks, and there is no client-side caching so far."},
    {"Users",
     "acl acl|cat acl|deluser acl|dryrun acl|genpass acl|getuser acl|help acl|list acl|load "
     "acl|log acl|save acl|setuser acl|users acl|whoami",
     "There is one user, `default`, with the password `requirepass`."},
    {"Looking inside",
     "config|rewrite debug latency latency|doctor latency|graph latency|help latency|histogram "
     "latency|history latency|latest latency|reset lolwut memory|doctor memory|malloc-stats "
     "memory|purge memory|stats module module|help module|list module|load module|loadex "
     "module|unload monitor slowlog slowlog|get slowlog|help slowlog|len slowlog|reset",
     "Not yet, or without a meaning here: there are no modules and no memory policies."},
};

const struct command_note *command_notes(size_t *count) {
    *count = COUNT(notes);
    return notes;
}

const struct command_absence *command_absences(size_t *count) {
    *count = COUNT(absences);
    return absences;
}
