/* server/topology and the commands that show it: CLUSTER, DYNCLUSTER, DYNPREFLIST. */
#include "server/topology.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/driver.h"
#include "tests/lib/run.h"
#include "tests/unit/server_fake.h"

/* Three members; 16 partitions of 1024 slots, four neighbours sharing a list: 0 1 2, 1 2 0, 2 0 1, 0 1 2. */
static struct fake *three(void) {
    struct fake *fake = fake_new(1);
    fake->member_count = 3;
    for (uint8_t i = 0; i < 3; i++) {
        fake->members[i] = (struct fake_member){
            .id = (uint8_t)(i + 1), .port = (uint16_t)(7001 + i), .status = MEMBER_MEMBER};
    }
    return fake;
}

static const struct topology_range *ranges_of(struct fake *fake, struct topology *topology,
                                              size_t *count) {
    ck_assert_int_eq(topology_update(topology, driver_node(fake->server.driver), clock_now()),
                     RD_OK);
    return topology_ranges(topology, count);
}

START_TEST(neighbours_with_the_same_nodes_are_merged) {
    struct fake *fake = three();
    struct topology *topology = NULL;
    ck_assert_int_eq(topology_new(&topology), RD_OK);
    size_t count = 0;
    const struct topology_range *ranges = ranges_of(fake, topology, &count);
    ck_assert_uint_eq(count, 4);
    ck_assert_uint_eq(topology_shards(topology), 3);
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(ranges[i].first_slot, i * 4096);
        ck_assert_uint_eq(ranges[i].last_slot, i * 4096 + 4095);
        ck_assert_uint_eq(ranges[i].node_count, 3);
        ck_assert_uint_eq(ranges[i].nodes[0], i % 3);
        ck_assert_uint_eq(ranges[i].nodes[1], (i + 1) % 3);
    }
    ck_assert_uint_eq(ranges[0].shard, ranges[3].shard);
    topology_free(&topology);
    fake_free(fake);
}
END_TEST

START_TEST(the_first_healthy_home_leads) {
    struct fake *fake = three();
    fake->members[0].state = MEMBER_DOWN;
    struct topology *topology = NULL;
    ck_assert_int_eq(topology_new(&topology), RD_OK);
    size_t count = 0;
    const struct topology_range *ranges = ranges_of(fake, topology, &count);
    ck_assert_uint_eq(ranges[0].nodes[0], 1);
    ck_assert_uint_eq(ranges[0].nodes[1], 0);
    ck_assert_uint_eq(ranges[0].nodes[2], 2);
    fake->members[1].state = MEMBER_SUSPECT;
    fake->members[2].state = MEMBER_DOWN;
    ranges = ranges_of(fake, topology, &count);
    ck_assert_uint_eq(ranges[0].nodes[0], 0); /* nobody is healthy: as preferred */
    topology_free(&topology);
    fake_free(fake);
}
END_TEST

START_TEST(replies_are_kept_until_something_changes) {
    struct fake *fake = three();
    struct topology *topology = NULL;
    ck_assert_int_eq(topology_new(&topology), RD_OK);
    size_t count = 0;
    ranges_of(fake, topology, &count);
    for (int proto = 2; proto <= 3; proto++) {
        ck_assert_int_eq(buf_append(topology_kept(topology, TOPOLOGY_SLOTS, proto), "x", 1), RD_OK);
    }
    ranges_of(fake, topology, &count);
    ck_assert_uint_eq(buf_len(topology_kept(topology, TOPOLOGY_SLOTS, 2)), 1);
    ck_assert_uint_eq(buf_len(topology_kept(topology, TOPOLOGY_SHARDS, 2)), 0);
    fake->members[2].port = 7777;
    ranges_of(fake, topology, &count);
    ck_assert_uint_eq(buf_len(topology_kept(topology, TOPOLOGY_SLOTS, 2)), 0);
    ck_assert_uint_eq(buf_len(topology_kept(topology, TOPOLOGY_SLOTS, 3)), 0);
    topology_free(&topology);
    fake_free(fake);
}
END_TEST

/* Does `text` begin with `start`? Says what it was if not. */
static void begins(const char *text, const char *start) {
    ck_assert_msg(strncmp(text, start, strlen(start)) == 0, "%.400s", text);
}

#define ID1 "0101010101010101010101010101010101010101"
#define ID2 "0202020202020202020202020202020202020202"
#define ID3 "0303030303030303030303030303030303030303"

START_TEST(cluster_slots_and_shards) {
    struct fake *fake = three();
    int fd = fake_connect(fake);
    for (int again = 0; again < 2; again++) {
        begins(fake_ask(fake, fd, "CLUSTER SLOTS"),
               "*4\r\n*5\r\n:0\r\n:4095\r\n*4\r\n$9\r\n127.0.0.1\r\n:7001\r\n$40\r\n" ID1
               "\r\n*0\r\n*4\r\n$9\r\n127.0.0.1\r\n:7002\r\n");
        begins(fake_ask(fake, fd, "CLUSTER SHARDS"),
               "*3\r\n*4\r\n$5\r\nslots\r\n*4\r\n:0\r\n:4095\r\n:12288\r\n:16383\r\n$"
               "5\r\nnodes\r\n*3\r\n*14\r\n$2\r\nid\r\n$40\r\n" ID1
               "\r\n$4\r\nport\r\n:7001\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$8\r\nendpoint\r\n$"
               "9\r\n127.0.0.1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
               "$18\r\nreplication-offset\r\n:0\r\n$6\r\nhealth\r\n$6\r\nonline\r\n");
    }
    fake_ask(fake, fd, "HELLO 3");
    begins(fake_ask(fake, fd, "CLUSTER SHARDS"), "*3\r\n%2\r\n$5\r\nslots\r\n*4\r\n:0\r\n");
    begins(fake_ask(fake, fd, "CLUSTER SLOTS"),
           "*4\r\n*5\r\n:0\r\n:4095\r\n*4\r\n$9\r\n127.0.0.1\r\n:7001\r\n$40\r\n" ID1 "\r\n%0\r\n");
    fake->members[0].state = MEMBER_DOWN;
    begins(fake_ask(fake, fd, "CLUSTER SLOTS"),
           "*4\r\n*5\r\n:0\r\n:4095\r\n*4\r\n$9\r\n127.0.0.1\r\n:7002\r\n$40\r\n" ID2);
    close(fd);
    fake_free(fake);
}
END_TEST

START_TEST(cluster_nodes_and_info) {
    struct fake *fake = three();
    int fd = fake_connect(fake);
    const char *text = fake_ask(fake, fd, "CLUSTER NODES");
    ck_assert_ptr_nonnull(strstr(
        text, ID1 " 127.0.0.1:7001@17001 myself,master - 0 0 1 connected 0-4095 12288-16383\n"));
    ck_assert_ptr_nonnull(strstr(text, " 2 connected 4096-8191\n"));
    ck_assert_ptr_nonnull(strstr(text, " 3 connected 8192-12287\n"));
    fake->members[2].state = MEMBER_DOWN;
    fake->members[1].state = MEMBER_SUSPECT;
    text = fake_ask(fake, fd, "CLUSTER NODES");
    ck_assert_ptr_nonnull(strstr(text, ID2 " 127.0.0.1:7002@17002 master,fail? - "));
    ck_assert_ptr_nonnull(strstr(text, ID3 " 127.0.0.1:7003@17003 master,fail - "));
    ck_assert_ptr_nonnull(strstr(text, "1 connected 0-16383\n"));
    text = fake_ask(fake, fd, "CLUSTER INFO");
    ck_assert_ptr_nonnull(strstr(text, "cluster_state:ok\r\n"));
    ck_assert_ptr_nonnull(strstr(text, "cluster_known_nodes:3\r\n"));
    ck_assert_str_eq(fake_ask(fake, fd, "CLUSTER MYID"), "$40\r\n" ID1 "\r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "CLUSTER KEYSLOT {user1000}.following"), ":3443\r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "CLUSTER COUNTKEYSINSLOT 7"), ":1\r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "READONLY"), "+OK\r\n");
    fake->server.config->partitioner = PARTITIONER_MD5;
    ck_assert_str_eq(fake_ask(fake, fd, "CLUSTER SLOTS"),
                     "-ERR This instance has cluster support disabled\r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "READONLY"),
                     "-ERR This instance has cluster support disabled\r\n");
    close(fd);
    fake_free(fake);
}
END_TEST

START_TEST(dyncluster_and_preflist) {
    struct fake *fake = three();
    int fd = fake_connect(fake);
    begins(
        fake_ask(fake, fd, "DYNCLUSTER NODES"),
        "*3\r\n*20\r\n$2\r\nid\r\n$40\r\n" ID1
        "\r\n$7\r\naddress\r\n$14\r\n127.0.0.1:7001\r\n$12\r\ncluster-port\r\n:17001\r\n"
        "$4\r\nzone\r\n$0\r\n\r\n$6\r\nvnodes\r\n:256\r\n$5\r\nstate\r\n$2\r\nup\r\n$"
        "6\r\nstatus\r\n$6\r\nmember\r\n"
        "$10\r\npartitions\r\n:16\r\n$13\r\nhints-pending\r\n:0\r\n$13\r\nlast-heard-ms\r\n:0\r\n");
    ck_assert_str_eq(fake_ask(fake, fd, "DYNCLUSTER RING PARTITION 4"),
                     "*1\r\n*8\r\n$9\r\npartition\r\n:4\r\n$10\r\nfirst-slot\r\n:4096\r\n$"
                     "9\r\nlast-slot\r\n:5119\r\n$5\r\nnodes\r\n*3\r\n"
                     "$40\r\n" ID2 "\r\n$40\r\n" ID3 "\r\n$40\r\n" ID1 "\r\n");
    begins(fake_ask(fake, fd, "DYNCLUSTER RING"), "*16\r\n*8\r\n$9\r\npartition\r\n:0\r\n");
    fake->n = 2;
    fake_ask(fake, fd, "HELLO 3");
    begins(fake_ask(fake, fd, "DYNPREFLIST {user1000}.following"),
           "%3\r\n$4\r\nslot\r\n:3443\r\n$9\r\npartition\r\n:3\r\n$5\r\nnodes\r\n*3\r\n%5\r\n$"
           "4\r\nnode\r\n$40\r\n" ID1
           "\r\n$7\r\naddress\r\n$14\r\n127.0.0.1:7001\r\n$4\r\nrole\r\n$4\r\nhome\r\n$"
           "4\r\nzone\r\n$0\r\n\r\n$5\r\nstate\r\n$2\r\nup\r\n");
    ck_assert_ptr_nonnull(
        strstr(fake_ask(fake, fd, "DYNPREFLIST {user1000}.following"), "$8\r\nfallback\r\n"));
    close(fd);
    fake_free(fake);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("topology");
    TCase *tcase = tcase_create("topology");
    tcase_add_test(tcase, neighbours_with_the_same_nodes_are_merged);
    tcase_add_test(tcase, the_first_healthy_home_leads);
    tcase_add_test(tcase, replies_are_kept_until_something_changes);
    tcase_add_test(tcase, cluster_slots_and_shards);
    tcase_add_test(tcase, cluster_nodes_and_info);
    tcase_add_test(tcase, dyncluster_and_preflist);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
