/* replication/preflist: against a brute-force table, and against the targets of DESIGN.md section
 * 3: balance, movement, zones, scattered fallbacks. */
#include "replication/preflist.h"

#include "base/prng.h"
#include "tests/lib/oom.h"
#include "tests/lib/run.h"
#include "tests/unit/members_make.h"

#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define MAX_MEMBERS 66
#define Q 4096
#define N 3

struct table {
    struct ring *ring;
    struct preflist *list;
    const struct ring_member *members;
    size_t count;
    uint32_t partitions, n;
    uint32_t load[MAX_MEMBERS];
    uint32_t leads[MAX_MEMBERS];
};

static struct table build(const struct ring_member *members, size_t count, uint32_t partitions,
                          uint32_t n) {
    struct table table = {.partitions = partitions};
    ck_assert_int_eq(ring_new(members, count, &table.ring), RD_OK);
    ck_assert_int_eq(preflist_new(table.ring, partitions, n, &table.list), RD_OK);
    preflist_check(table.list);
    table.members = ring_members(table.ring, &table.count);
    table.n = preflist_n(table.list);
    ck_assert_uint_eq(table.n, n < count ? n : count);
    for (uint32_t p = 0; p < partitions; p++) {
        const uint16_t *homes = preflist_homes(table.list, (uint16_t)p);
        table.leads[homes[0]]++;
        for (uint32_t h = 0; h < table.n; h++) {
            table.load[homes[h]]++;
        }
    }
    return table;
}

static void release(struct table *table) {
    preflist_free(&table->list);
    ring_free(&table->ring);
    ck_assert_ptr_null(table->list);
}

static void make_members(uint64_t seed, int zones, struct ring_member members[MAX_MEMBERS]) {
    struct prng prng;
    prng_seed(&prng, seed);
    for (int m = 0; m < MAX_MEMBERS; m++) {
        members[m] = member_make(&prng, 256, zones > 0 ? m % zones : -1);
    }
}

static bool is_home(const struct table *table, uint32_t partition, const struct node_id *id) {
    const uint16_t *homes = preflist_homes(table->list, (uint16_t)partition);
    for (uint32_t h = 0; h < table->n; h++) {
        if (node_id_compare(&table->members[homes[h]].id, id) == 0) {
            return true;
        }
    }
    return false;
}

/* Homes that `after` has and `before` has not: what must be copied. */
static uint32_t moved(const struct table *before, const struct table *after) {
    uint32_t places = 0;
    for (uint32_t p = 0; p < after->partitions; p++) {
        const uint16_t *homes = preflist_homes(after->list, (uint16_t)p);
        for (uint32_t h = 0; h < after->n; h++) {
            places += !is_home(before, p, &after->members[homes[h]].id);
        }
    }
    return places;
}

/* ---- brute force ----------------------------------------------------------------------------- */

static bool same_zone(const struct table *table, uint16_t a, uint16_t b) {
    return table->members[a].zone[0] != 0 &&
           strcmp(table->members[a].zone, table->members[b].zone) == 0;
}

/* Members of one weight in `zones` zones of one size (0: none): every walk starts anew at the
 * partition's position and looks at every token. */
static void brute_force(const struct table *table, uint32_t zones,
                        uint16_t (*homes)[PREFLIST_MAX_N]) {
    size_t token_count;
    const struct ring_token *tokens = ring_tokens(table->ring, &token_count);
    uint32_t load[MAX_MEMBERS] = {0};
    uint64_t places = (uint64_t)table->partitions * table->n;
    for (uint32_t h = 0; h < table->n; h++) {
        for (uint32_t p = 0; p < table->partitions; p++) {
            uint64_t position = (uint64_t)p * (UINT64_MAX / table->partitions + 1);
            int best = -1;
            uint64_t best_distance = 0;
            for (size_t t = 0; t < token_count; t++) {
                uint16_t member = tokens[t].member;
                uint64_t distance = tokens[t].position - position; /* clockwise */
                bool taken = false;
                for (uint32_t other = 0; other < h; other++) {
                    taken = taken || homes[p][other] == member ||
                            (h < zones && same_zone(table, homes[p][other], member));
                }
                bool full = (uint64_t)load[member] * 100 * table->count >= places * 107;
                bool nearer = best < 0 || distance < best_distance;
                if (!taken && !full && load[member] < table->partitions && nearer) {
                    best = member;
                    best_distance = distance;
                }
            }
            ck_assert_int_ge(best, 0);
            homes[p][h] = (uint16_t)best;
            load[best]++;
        }
    }
}

/* The table holds the same homes; only who of them leads may differ, the others keep the order of
 * the walk. */
START_TEST(agrees_with_brute_force) {
    struct ring_member members[MAX_MEMBERS];
    make_members((uint64_t)_i, 0, members);
    static const struct {
        size_t count;
        uint32_t partitions, n, vnodes, zones;
    } cases[] = {
        {1, 8, 3, 4, 0},    {2, 16, 3, 7, 0},   {3, 64, 3, 8, 0},    {5, 64, 3, 16, 0},
        {7, 128, 2, 5, 0},  {9, 64, 1, 3, 0},   {12, 128, 5, 32, 0}, {6, 128, 3, 16, 3},
        {8, 128, 3, 16, 4}, {8, 128, 3, 16, 2}, {12, 128, 5, 16, 3}, {6, 64, 4, 8, 1},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (size_t m = 0; m < cases[c].count; m++) {
            members[m].vnodes = cases[c].vnodes;
            members[m].zone[0] = cases[c].zones == 0 ? 0 : (char)('a' + m % cases[c].zones);
        }
        struct table table = build(members, cases[c].count, cases[c].partitions, cases[c].n);
        static uint16_t wanted[128][PREFLIST_MAX_N];
        brute_force(&table, cases[c].zones, wanted);
        for (uint32_t p = 0; p < table.partitions; p++) {
            const uint16_t *homes = preflist_homes(table.list, (uint16_t)p);
            uint32_t next = 1;
            bool led = false;
            for (uint32_t h = 0; h < table.n; h++) {
                if (wanted[p][h] == homes[0]) {
                    led = true;
                } else if (next == table.n || homes[next++] != wanted[p][h]) {
                    ck_abort_msg("case %zu, partition %u", c, p);
                }
            }
            ck_assert(led);
        }
        release(&table);
    }
}
END_TEST

/* ---- balance and movement -------------------------------------------------------------------- */

static const size_t sizes[] = {3, 4, 5, 6, 7, 8, 10, 13, 16, 21, 27, 32, 40, 48, 57, 63, 64};

#define SIZES ((int)(sizeof sizes / sizeof *sizes))

START_TEST(meets_the_targets) {
    size_t count = sizes[_i];
    for (uint64_t seed = 0; seed < 2; seed++) {
        struct ring_member members[MAX_MEMBERS];
        make_members(seed, 0, members);
        struct table table = build(members, count, Q, N);
        struct table larger = build(members, count + 1, Q, N);
        for (size_t m = 0; m < count; m++) {
            /* peak <= 1.10 x the fair share Q * N / count; leading within 1.15 x */
            ck_assert_uint_le(table.load[m] * count * 100, (size_t)Q * N * 110);
            ck_assert_uint_le(table.leads[m] * count * 100, (size_t)Q * 115);
        }
        /* movement <= 1.15 x the ideal, which is the new member's fair share */
        ck_assert_uint_le(moved(&table, &larger) * (count + 1) * 100, (size_t)Q * N * 115);
        ck_assert_uint_le(moved(&larger, &table) * (count + 1) * 100, (size_t)Q * N * 115);
        release(&table);
        release(&larger);
    }
}
END_TEST

START_TEST(weighs_members_by_vnodes) {
    struct ring_member members[MAX_MEMBERS];
    make_members((uint64_t)_i, 0, members);
    size_t count = 20;
    uint64_t weight = 0;
    for (size_t m = 0; m < count; m++) {
        members[m].vnodes = m % 4 == 0 ? 512 : 128 + 64 * (uint32_t)(m % 3);
        weight += members[m].vnodes;
    }
    struct table table = build(members, count, Q, N);
    for (size_t m = 0; m < count; m++) {
        uint64_t share = (uint64_t)Q * N * table.members[m].vnodes; /* times weight */
        ck_assert_uint_le(table.load[m] * weight * 100, share * 110);
        ck_assert_uint_ge(table.load[m] * weight * 100, share * 75);
    }
    release(&table);
}
END_TEST

/* One member as heavy as all others together can hold each partition once, no more; the rest is
 * shared by the others. */
START_TEST(shares_out_what_a_giant_cannot_hold) {
    struct ring_member members[MAX_MEMBERS];
    make_members((uint64_t)_i, 0, members);
    members[2].vnodes = 4096;
    for (size_t m = 0; m < 9; m++) {
        members[m].vnodes = m == 2 ? 4096 : 64;
    }
    struct table table = build(members, 9, Q, N);
    uint32_t full = 0;
    for (size_t m = 0; m < 9; m++) {
        if (table.members[m].vnodes == 4096) {
            ck_assert_uint_ge(table.load[m] * 10, Q * 9);
        } else {
            ck_assert_uint_le(table.load[m] * 8 * 100, Q * 2 * 110);
        }
        full += table.load[m];
    }
    ck_assert_uint_eq(full, Q * N);
    release(&table);
}
END_TEST

START_TEST(works_with_any_small_cluster) {
    struct ring_member members[MAX_MEMBERS];
    make_members(5, 0, members);
    for (size_t count = 1; count <= 6; count++) {
        for (uint32_t n = 1; n <= 7; n++) {
            for (uint32_t partitions = 1; partitions <= 64; partitions *= 4) {
                struct table table = build(members, count, partitions, n);
                uint16_t fallbacks[MAX_MEMBERS];
                size_t others = preflist_fallbacks(table.list, 0, fallbacks, MAX_MEMBERS);
                ck_assert_uint_eq(others, count - table.n);
                release(&table);
            }
        }
    }
}
END_TEST

START_TEST(is_a_function_of_the_set_of_members) {
    struct ring_member members[MAX_MEMBERS];
    struct ring_member reversed[MAX_MEMBERS];
    make_members((uint64_t)_i, 4, members);
    for (size_t m = 0; m < 10; m++) {
        reversed[9 - m] = members[m];
    }
    struct table one = build(members, 10, 1024, N);
    struct table two = build(reversed, 10, 1024, N);
    ck_assert(memcmp(preflist_homes(one.list, 0), preflist_homes(two.list, 0),
                     1024 * N * sizeof(uint16_t)) == 0);
    release(&one);
    release(&two);
}
END_TEST

/* A change of the algorithm would scatter the data of clusters that exist: this table must never
 * change. */
START_TEST(keeps_its_table) {
    struct ring_member members[5];
    memset(members, 0, sizeof members);
    for (size_t m = 0; m < 5; m++) {
        memset(members[m].id.bytes, (int)m + 1, NODE_ID_BYTES);
        members[m].placement = members[m].id;
        members[m].vnodes = 8;
    }
    struct table table = build(members, 5, 16, 3);
    char text[16 * 4 + 1] = "";
    for (uint32_t p = 0; p < 16; p++) {
        const uint16_t *homes = preflist_homes(table.list, (uint16_t)p);
        for (uint32_t h = 0; h < 3; h++) {
            text[4 * p + h] = (char)('a' + homes[h]);
        }
        text[4 * p + 3] = ' ';
    }
    ck_assert_str_eq(text, "dba dba dab bcd cda aed dcb ecd "
                           "eca eda eab bca cab aeb bed bed ");
    release(&table);
}
END_TEST

/* ---- zones ----------------------------------------------------------------------------------- */

static const struct {
    int zones;
    size_t count;
    uint32_t n;
} zonings[] = {{3, 6, 3}, {3, 9, 3}, {3, 7, 3},  {4, 12, 3}, {2, 6, 3},
               {2, 3, 3}, {1, 5, 3}, {5, 20, 3}, {3, 12, 5}, {6, 6, 3}};

/* preflist_check, called by build, asserts that partitions lie in as many zones as can be. */
START_TEST(spans_zones) {
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct ring_member members[MAX_MEMBERS];
        make_members(seed, zonings[_i].zones, members);
        size_t count = zonings[_i].count;
        struct table table = build(members, count, Q, zonings[_i].n);
        uint32_t used[8] = {0};
        for (uint32_t p = 0; p < Q; p++) {
            const uint16_t *homes = preflist_homes(table.list, (uint16_t)p);
            uint32_t zones = 0;
            for (uint32_t h = 0; h < table.n; h++) {
                zones |= 1U << (table.members[homes[h]].zone[1] - '0');
            }
            used[__builtin_popcount(zones)]++;
        }
        uint32_t most =
            (uint32_t)zonings[_i].zones < table.n ? (uint32_t)zonings[_i].zones : table.n;
        ck_assert_uint_eq(used[most], Q);
        if (count % (size_t)zonings[_i].zones == 0) { /* zones of one size: balanced as without */
            for (size_t m = 0; m < count; m++) {
                ck_assert_uint_le(table.load[m] * count * 100, (size_t)Q * table.n * 110);
            }
        }
        release(&table);
    }
}
END_TEST

/* Where a zone is smaller than the others, its members hold what the zone rule asks for, evenly. */
START_TEST(loads_small_zones_as_the_rule_asks) {
    struct ring_member members[MAX_MEMBERS];
    make_members((uint64_t)_i, 0, members);
    static const char zones[] = {'a', 'b', 'b', 'c', 'c', 'c'};
    for (size_t m = 0; m < 6; m++) {
        members[m].zone[0] = zones[m];
    }
    struct table table = build(members, 6, Q, N);
    for (size_t m = 0; m < 6; m++) {
        uint32_t size = (uint32_t)(table.members[m].zone[0] - 'a' + 1);
        ck_assert_uint_le(table.load[m] * size * 100, Q * 110);
    }
    release(&table);
}
END_TEST

/* The zone rule gives the only member of zone a one home in each partition. The others share the
 * rest evenly, not what they would have by weight. Few vnodes: without the right caps it shows. */
START_TEST(shares_out_what_a_small_zone_must_hold) {
    struct ring_member members[MAX_MEMBERS];
    make_members((uint64_t)_i, 0, members);
    for (size_t m = 0; m < 13; m++) {
        members[m].vnodes = 16;
        members[m].zone[0] = m == 0 ? 'a' : (char)('b' + m % 2);
    }
    struct table table = build(members, 13, Q, 4);
    for (size_t m = 0; m < 13; m++) {
        if (table.members[m].zone[0] == 'a') {
            ck_assert_uint_eq(table.load[m], Q);
        } else { /* three homes of each partition for twelve members */
            ck_assert_uint_le(table.load[m] * 12 * 100, 3 * Q * 110);
        }
    }
    release(&table);
}
END_TEST

/* A member without a zone is a zone of its own, also beside named ones. */
START_TEST(takes_no_zone_for_a_zone) {
    struct ring_member members[MAX_MEMBERS];
    make_members((uint64_t)_i, 1, members);
    members[3].zone[0] = 0;
    members[4].zone[0] = 0;
    struct table table =
        build(members, 5, Q, N); /* zones: z0 (three members), and two single ones */
    for (size_t m = 0; m < 5; m++) {
        ck_assert_int_eq(table.load[m] == Q, table.members[m].zone[0] == 0);
    }
    release(&table);
}
END_TEST

/* ---- fallbacks ------------------------------------------------------------------------------- */

START_TEST(fallbacks_are_the_others) {
    struct ring_member members[MAX_MEMBERS];
    make_members((uint64_t)_i, _i % 2 == 0 ? 0 : 3, members);
    size_t count = 4 + 6 * (size_t)_i;
    struct table table = build(members, count, 256, N);
    size_t token_count;
    const struct ring_token *tokens = ring_tokens(table.ring, &token_count);
    for (uint32_t p = 0; p < 256; p++) {
        uint16_t all[MAX_MEMBERS];
        uint16_t some[2];
        size_t found = preflist_fallbacks(table.list, (uint16_t)p, all, MAX_MEMBERS);
        ck_assert_uint_eq(found, count - table.n);
        bool seen[MAX_MEMBERS] = {false};
        for (size_t f = 0; f < found; f++) {
            if (seen[all[f]] || is_home(&table, p, &table.members[all[f]].id)) {
                ck_abort_msg("fallback %zu of partition %u", f, p);
            }
            seen[all[f]] = true;
        }
        ck_assert_uint_eq(preflist_fallbacks(table.list, (uint16_t)p, some, 0), 0);
        size_t few = preflist_fallbacks(table.list, (uint16_t)p, some, 2);
        ck_assert_uint_eq(few, found < 2 ? found : 2);
        ck_assert(memcmp(some, all, few * sizeof *some) == 0);

        /* In the order in which the walk goes on behind the last home. */
        size_t at = ring_find(table.ring, (uint64_t)p << 56);
        uint32_t met = 0;
        bool passed[MAX_MEMBERS] = {false};
        for (; met < table.n; at = (at + 1) % token_count) {
            uint16_t member = tokens[at].member;
            met += is_home(&table, p, &table.members[member].id) && !passed[member];
            passed[member] = true;
        }
        while (found > 0 && is_home(&table, p, &table.members[tokens[at].member].id)) {
            at = (at + 1) % token_count;
        }
        ck_assert(found == 0 || all[0] == tokens[at].member);
    }
    release(&table);
}
END_TEST

/* When one of 16 dies, the first fallbacks of its partitions are many, none with more than twice
 * its part. */
START_TEST(a_dead_members_load_scatters) {
    struct ring_member members[MAX_MEMBERS];
    make_members((uint64_t)_i, 0, members);
    size_t count = 16;
    struct table table = build(members, count, Q, N);
    for (size_t dead = 0; dead < count; dead++) {
        uint32_t takes[MAX_MEMBERS] = {0};
        for (uint32_t p = 0; p < Q; p++) {
            if (is_home(&table, p, &table.members[dead].id)) {
                uint16_t first;
                ck_assert_uint_eq(preflist_fallbacks(table.list, (uint16_t)p, &first, 1), 1);
                takes[first]++;
            }
        }
        ck_assert_uint_eq(takes[dead], 0);
        for (size_t m = 0; m < count; m++) {
            if (takes[m] * (count - 1) > 2 * table.load[dead]) {
                ck_abort_msg("%u of %u", takes[m], table.load[dead]);
            }
        }
    }
    release(&table);
}
END_TEST

/* ---- errors ---------------------------------------------------------------------------------- */

START_TEST(refuses_impossible_sizes) {
    struct ring_member members[MAX_MEMBERS];
    make_members(1, 0, members);
    struct ring *ring;
    struct preflist *list = NULL;
    ck_assert_int_eq(ring_new(members, 3, &ring), RD_OK);
    static const struct {
        uint32_t partitions, n;
    } bad[] = {{0, 3}, {3, 3}, {4095, 3}, {32768, 3}, {4096, 0}, {4096, PREFLIST_MAX_N + 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(preflist_new(ring, bad[i].partitions, bad[i].n, &list), RD_ECONF);
    }
    ck_assert_ptr_null(list);
    preflist_free(&list);
    ring_free(&ring);
}
END_TEST

START_TEST(survives_failing_allocations) {
    struct ring_member members[MAX_MEMBERS];
    make_members(1, 0, members);
    struct ring *ring;
    ck_assert_int_eq(ring_new(members, 5, &ring), RD_OK);
    for (unsigned n = 1;; n++) {
        struct preflist *list = NULL;
        oom_fail_at(n);
        enum rd_err err = preflist_new(ring, 64, 3, &list);
        if (!oom_stop()) {
            ck_assert_int_eq(err, RD_OK);
            preflist_free(&list);
            ck_assert_uint_gt(n, 1);
            break;
        }
        ck_assert_int_eq(err, RD_ENOMEM);
        ck_assert_ptr_null(list);
    }
    ring_free(&ring);
}
END_TEST

/* For the reader only: a test asserts no time. */
START_TEST(tells_how_long_a_table_takes) {
    struct ring_member members[MAX_MEMBERS];
    make_members(1, 0, members);
    clock_t start = clock();
    struct ring *ring;
    struct preflist *list;
    ck_assert_int_eq(ring_new(members, 64, &ring), RD_OK);
    clock_t middle = clock();
    ck_assert_int_eq(preflist_new(ring, Q, N, &list), RD_OK);
    clock_t end = clock();
    double ms = 1000.0 / CLOCKS_PER_SEC;
    printf("64 members x 256 vnodes: ring %.1f ms, table of %d partitions %.1f ms\n",
           (double)(middle - start) * ms, Q, (double)(end - middle) * ms);
    preflist_free(&list);
    ring_free(&ring);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("preflist");
    TCase *tcase = tcase_create("preflist");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, agrees_with_brute_force, 0, 5);
    tcase_add_loop_test(tcase, meets_the_targets, 0, SIZES);
    tcase_add_loop_test(tcase, weighs_members_by_vnodes, 0, 3);
    tcase_add_loop_test(tcase, shares_out_what_a_giant_cannot_hold, 0, 3);
    tcase_add_test(tcase, works_with_any_small_cluster);
    tcase_add_loop_test(tcase, is_a_function_of_the_set_of_members, 0, 3);
    tcase_add_test(tcase, keeps_its_table);
    tcase_add_loop_test(tcase, spans_zones, 0, (int)(sizeof zonings / sizeof *zonings));
    tcase_add_loop_test(tcase, loads_small_zones_as_the_rule_asks, 0, 5);
    tcase_add_loop_test(tcase, shares_out_what_a_small_zone_must_hold, 0, 5);
    tcase_add_loop_test(tcase, takes_no_zone_for_a_zone, 0, 3);
    tcase_add_loop_test(tcase, fallbacks_are_the_others, 0, 6);
    tcase_add_loop_test(tcase, a_dead_members_load_scatters, 0, 2);
    tcase_add_test(tcase, refuses_impossible_sizes);
    tcase_add_test(tcase, survives_failing_allocations);
    tcase_add_test(tcase, tells_how_long_a_table_takes);
    suite_add_tcase(suite, tcase);
    return test_run(suite);
}
