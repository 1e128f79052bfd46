/* Commands about the connection: PING ECHO QUIT RESET SELECT AUTH HELLO CLIENT COMMAND; passwords and protected mode. */
#include <stdio.h>
#include <string.h>

#include "redis-tests/lib/client.h"
#include "redis-tests/lib/cluster.h"
#include "redis-tests/lib/run.h"

static struct cluster *cluster;

static void start(void) {
    cluster = cluster_start(1, "requirepass \"\"\n");
}

static void stop(void) {
    cluster_free(&cluster);
}

START_TEST(plain_commands) {
    static const struct exchange table[] = {
        {"PING", "+PONG"},
        {"ping \"with\\x00 zero\"", "\"with\\x00 zero\""},
        {"PING a b", "-ERR wrong number of arguments for 'ping' command"},
        {"ECHO hello", "\"hello\""},
        {"ECHO", "-ERR wrong number of arguments for 'echo' command"},
        {"SELECT 0", "+OK"},
        {"SELECT 1", "-ERR SELECT is not allowed in cluster mode"},
        {"SELECT x", "-ERR value is not an integer or out of range"},
        {"NOSUCH a b", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "},
        {"CLIENT NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP."},
        {"CLIENT GETNAME", "nil"},
        {"CLIENT SETNAME me", "+OK"},
        {"CLIENT GETNAME", "\"me\""},
        {"CLIENT SETNAME \"two words\"",
         "-ERR Client names cannot contain spaces, newlines or special characters."},
        {"CLIENT SETINFO LIB-NAME test", "+OK"},
        {"CLIENT SETINFO LIB-VER 1.0", "+OK"},
        {"CLIENT SETINFO COLOUR red", "-ERR Unrecognized option 'COLOUR'"},
        {"CLIENT ID", ":*"},
        {"CLIENT INFO", "\"id=* addr=127.0.0.1:* name=me * resp=2 lib-name=test lib-ver=1.0\\n\""},
        {"CLIENT LIST", "\"*id=* name=me * cmd=client|list *\\n\""},
        {"CLIENT LIST TYPE normal", "\"*name=me *\""},
        {"CLIENT LIST TYPE pubsub", "\"\""},
        {"CLIENT LIST ID x", "-ERR Invalid client ID"},
        {"AUTH secret",
         "-ERR AUTH <password> called without any password configured for the default user. *"},
        {"AUTH default anything", "+OK"},
        {"AUTH nobody anything", "-WRONGPASS invalid username-password pair or user is disabled."},
        {"HELLO 4", "-NOPROTO unsupported protocol version"},
        {"HELLO x", "-ERR Protocol version is not an integer or out of range"},
        {"HELLO 2 SETNAME other",
         "[\"server\", \"redis\", \"version\", *\"proto\", :2, \"id\", :*]"},
        {"CLIENT GETNAME", "\"other\""},
        {"RESET", "+RESET"},
        {"CLIENT GETNAME", "nil"},
        {"TIME", "[\"1*\", \"*\"]"},
        {"QUIT", "+OK"},
        {"PING", "closed"},
    };
    struct client c;
    client_open(&c, cluster->nodes[0].port);
    PLAY(&c, table);
    client_close(&c);
}
END_TEST

START_TEST(command_introspection) {
    static const struct exchange table[] = {
        {"COMMAND COUNT", ":*"},
        {"COMMAND INFO get nosuch", "[[\"get\", :2, [*readonly*], :1, :1, :1, *], nil]"},
        {"COMMAND INFO dynget", "[[\"dynget\", :-2, [*readonly*], :1, :1, :1, *]]"},
        {"COMMAND INFO dynset", "[[\"dynset\", :-3, [*write*], :1, :1, :1, *]]"},
        {"COMMAND INFO mset", "[[\"mset\", :-3, [*write*], :1, :-1, :2, *]]"},
        {"COMMAND DOCS dynset", "[\"dynset\", [*\"summary\", \"*\", *]]"},
        {"COMMAND GETKEYS SET k v", "[\"k\"]"},
        {"COMMAND GETKEYS MSET a 1 b 2", "[\"a\", \"b\"]"},
        {"COMMAND GETKEYS DYNSET k v CONTEXT c", "[\"k\"]"},
        {"COMMAND GETKEYS PING", "-ERR The command has no key arguments"},
        {"COMMAND GETKEYS NOSUCH", "-ERR Invalid command specified"},
        {"COMMAND GETKEYS GET", "-ERR *"},
        {"COMMAND LIST FILTERBY PATTERN dynq*", "[\"dynquorum\"]"},
        {"COMMAND NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try COMMAND HELP."},
    };
    struct client c;
    client_open(&c, cluster->nodes[0].port);
    PLAY(&c, table);
    redisReply *all = redisCommand(c.redis, "COMMAND");
    redisReply *count = redisCommand(c.redis, "COMMAND COUNT");
    redisReply *list = redisCommand(c.redis, "COMMAND LIST");
    ck_assert_int_eq(all->type, REDIS_REPLY_ARRAY);
    ck_assert_int_eq((long long)all->elements, count->integer);
    ck_assert_int_eq((long long)list->elements, count->integer);
    freeReplyObject(all);
    freeReplyObject(count);
    freeReplyObject(list);
    client_close(&c);
}
END_TEST

/* What a client sets is its own. */
START_TEST(connections_are_apart) {
    struct client a, b;
    client_open(&a, cluster->nodes[0].port);
    client_open(&b, cluster->nodes[0].port);
    expect(&a, "+OK", "CLIENT SETNAME a");
    expect(&a, "[*\"w\", :1, *", "DYNQUORUM W 1");
    expect(&b, "nil", "CLIENT GETNAME");
    expect(&b, "[*\"r\", :*, \"w\", :*", "DYNQUORUM");
    long long id_a = strtoll(ask(&a, "CLIENT ID") + 1, NULL, 10);
    long long id_b = strtoll(ask(&b, "CLIENT ID") + 1, NULL, 10);
    ck_assert_int_ne(id_a, id_b);
    expect(&a, "\"id=* name= *\"", "CLIENT LIST ID %lld", id_b);
    expect(&a, "+OK", "QUIT");
    expect(&a, "closed", "PING");
    expect(&b, "+PONG", "PING");
    client_close(&a);
    client_close(&b);
}
END_TEST

/* CLIENT REPLY: what is silenced is carried out. */
START_TEST(replies_can_be_silenced) {
    struct raw raw;
    raw_open(&raw, cluster->nodes[0].port);
    raw_command(&raw, "CLIENT REPLY OFF");
    raw_command(&raw, "CLIENT SETNAME silent");
    raw_command(&raw, "CLIENT REPLY ON");
    raw_expect(&raw, "+OK");
    raw_command(&raw, "CLIENT REPLY SKIP");
    raw_command(&raw, "PING");
    raw_command(&raw, "CLIENT GETNAME");
    raw_expect(&raw, "\"silent\"");
    raw_close(&raw);
}
END_TEST

START_TEST(password) {
    struct cluster *locked = cluster_start(1, "");
    struct client c, other;
    client_open(&c, locked->nodes[0].port);
    client_open(&other, locked->nodes[0].port);
    expect(&c, "+OK", "CONFIG SET requirepass \"open sesame\"");
    expect(&c, "+PONG", "PING"); /* who was in stays in */
    client_close(&c);
    client_open(&c, locked->nodes[0].port);
    static const struct exchange table[] = {
        {"GET a", "-NOAUTH Authentication required."},
        {"DYNGET a", "-NOAUTH Authentication required."},
        {"INFO", "-NOAUTH Authentication required."},
        {"CLUSTER SLOTS", "-NOAUTH Authentication required."},
        {"HELLO 3", "-NOAUTH HELLO must be called with the client already authenticated, *"},
        {"AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled."},
        {"AUTH default wrong", "-WRONGPASS *"},
        {"GET a", "-NOAUTH Authentication required."},
        {"AUTH \"open sesame\"", "+OK"},
        {"SET a b", "+OK"},
        {"GET a", "\"b\""},
        {"RESET", "+RESET"},
        {"GET a", "-NOAUTH Authentication required."},
        {"HELLO 2 AUTH default wrong", "-WRONGPASS *"},
        {"HELLO 2 AUTH default \"open sesame\"", "[\"server\", *"},
        {"GET a", "\"b\""},
    };
    PLAY(&c, table);
    client_close(&c);
    client_close(&other);
    cluster_free(&locked);
}
END_TEST

START_TEST(protected_mode) {
    char address[64];
    struct buf out = {0};
    if (!proc_outer_address(address)) {
        return; /* this machine has no other address */
    }
    struct cluster *open = cluster_make(1, "bind *\n");
    node_start(&open->nodes[0]);
    cluster_wait(open);
    int port = open->nodes[0].port;
    struct client c;
    client_open(&c, port);
    proc_run(&out, "redis-cli -h %s -p %d PING", address, port);
    ck_assert_msg(strncmp((const char *)buf_data(&out), "DENIED Redis", 6) == 0 ||
                      strstr((const char *)buf_data(&out), "DENIED") != NULL,
                  "%s", (const char *)buf_data(&out));
    expect(&c, "+OK", "CONFIG SET protected-mode no");
    proc_run(&out, "redis-cli -h %s -p %d PING", address, port);
    ck_assert_str_eq((const char *)buf_data(&out), "PONG\n");
    expect(&c, "+OK", "CONFIG SET protected-mode yes requirepass x");
    proc_run(&out, "redis-cli -h %s -p %d -a x --no-auth-warning PING", address, port);
    ck_assert_str_eq((const char *)buf_data(&out), "PONG\n");
    client_close(&c);
    buf_free(&out);
    cluster_free(&open);
}
END_TEST

/* Above maxclients a connection is told so and closed; room comes back. */
START_TEST(too_many_clients) {
    struct cluster *small = cluster_start(1, "");
    int port = small->nodes[0].port;
    struct client c;
    struct raw second, third;
    client_open(&c, port);
    expect(&c, "+OK", "CONFIG SET maxclients 2");
    raw_open(&second, port);
    raw_command(&second, "PING");
    raw_expect(&second, "+PONG");
    raw_open(&third, port);
    raw_expect(&third, "-ERR max number of clients reached");
    raw_expect(&third, "closed");
    raw_close(&third);
    raw_close(&second);
    WAIT_FOR(client_info(&c, "connected_clients") == 1);
    raw_open(&third, port);
    raw_command(&third, "PING");
    raw_expect(&third, "+PONG");
    raw_close(&third);
    client_close(&c);
    cluster_free(&small);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("connection");
    TCase *shared = run_group(suite, start, stop), *own = run_group(suite, NULL, NULL);
    tcase_add_test(shared, plain_commands);
    tcase_add_test(shared, command_introspection);
    tcase_add_test(shared, connections_are_apart);
    tcase_add_test(shared, replies_can_be_silenced);
    tcase_add_test(own, password);
    tcase_add_test(own, protected_mode);
    tcase_add_test(own, too_many_clients);
    return run_tests(suite);
}
