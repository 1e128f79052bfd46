/* replication/slot: Redis Cluster's vectors, hash tags, and partitions that tile the slots. */
#include "replication/slot.h"

#include "base/hash.h"
#include "base/prng.h"
#include "tests/lib/run.h"
#include "tests/unit/must.h"

#include <string.h>

static uint16_t slot(const char *key) {
    return slot_of_key(PARTITIONER_CRC16, key, strlen(key));
}

START_TEST(gives_the_slots_of_redis_cluster) {
    MUST(hash_crc16("123456789", 9) == 0x31c3);
    MUST(slot("123456789") == 0x31c3);
    MUST(slot("foo") == 12182);
    MUST(slot("bar") == 5061);
    MUST(slot("hello") == 866);
    MUST(slot("") == 0);
}
END_TEST

/* What of the key is hashed. */
static const struct {
    const char *key, *hashed;
} tags[] = {
    {"{user1000}.following", "user1000"},
    {"{user1000}.followers", "user1000"},
    {"foo{bar}", "bar"},
    {"foo{}{bar}", "foo{}{bar}"},
    {"foo{{bar}}zap", "{bar"},
    {"foo{bar}{zap}", "bar"},
    {"{}", "{}"},
    {"{}foo", "{}foo"},
    {"{", "{"},
    {"}", "}"},
    {"{foo", "{foo"},
    {"foo}", "foo}"},
    {"}foo{", "}foo{"},
    {"}foo{bar}", "bar"},
    {"{a}", "a"},
    {"{{}", "{"},
};

START_TEST(hashes_only_the_tag) {
    for (int p = PARTITIONER_CRC16; p <= PARTITIONER_MD5; p++) {
        /* The bare word must not be narrowed again, so it is hashed here. */
        const char *hashed = tags[_i].hashed;
        uint16_t wanted = hash_crc16(hashed, strlen(hashed)) % SLOT_COUNT;
        if (p == PARTITIONER_MD5) {
            uint8_t digest[HASH_MD5_BYTES];
            hash_md5(hashed, strlen(hashed), digest);
            wanted = (uint16_t)(digest[0] << 6 | digest[1] >> 2);
        }
        const char *key = tags[_i].key;
        ck_assert_msg(slot_of_key((enum partitioner)p, key, strlen(key)) == wanted, "%s", key);
    }
}
END_TEST

START_TEST(takes_the_top_bits_of_md5) {
    /* MD5("") = d41d8cd9..., MD5("abc") = 90015098...: 0xd41d >> 2, 0x9001 >> 2 */
    MUST(slot_of_key(PARTITIONER_MD5, NULL, 0) == 0xd41d >> 2);
    MUST(slot_of_key(PARTITIONER_MD5, "abc", 3) == 0x9001 >> 2);
}
END_TEST

START_TEST(takes_any_bytes) {
    struct prng prng;
    prng_seed(&prng, 1);
    for (int round = 0; round < 20000; round++) {
        uint8_t key[24];
        size_t len = prng_below(&prng, sizeof key + 1);
        for (size_t i = 0; i < len; i++) {
            static const char alphabet[] = "{}ab\0";
            key[i] = (uint8_t)alphabet[prng_below(&prng, 5)];
        }
        MUST(slot_of_key(PARTITIONER_CRC16, key, len) < SLOT_COUNT);
        MUST(slot_of_key(PARTITIONER_MD5, key, len) < SLOT_COUNT);
    }
    MUST(slot_of_key(PARTITIONER_CRC16, "a\0b", 3) != slot_of_key(PARTITIONER_CRC16, "a\0c", 3));
}
END_TEST

START_TEST(partitions_tile_the_slots) {
    uint32_t partitions = 1U << _i;
    uint32_t run = SLOT_COUNT / partitions;
    for (uint32_t s = 0; s < SLOT_COUNT; s++) {
        uint16_t partition = slot_partition((uint16_t)s, partitions);
        MUST(partition == s / run);
        MUST(slot_first(partition, partitions) <= s);
        MUST((slot_first(partition, partitions) == s) == (s % run == 0));
    }
    MUST(slot_partition(SLOT_COUNT - 1, partitions) == partitions - 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("slot");
    TCase *tcase = tcase_create("slot");
    tcase_add_test(tcase, gives_the_slots_of_redis_cluster);
    tcase_add_loop_test(tcase, hashes_only_the_tag, 0, (int)(sizeof tags / sizeof *tags));
    tcase_add_test(tcase, takes_the_top_bits_of_md5);
    tcase_add_test(tcase, takes_any_bytes);
    tcase_add_loop_test(tcase, partitions_tile_the_slots, 0, 15);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
