/* Five nodes in network namespaces, a shop at work, and one fault after the other. Afterwards every acknowledged addition is there, all
 * replicas agree, no hint is left, and what was deleted is deleted.
 *
 * Needs root; is skipped, saying why, where namespaces cannot be made. FAULTS=long in the environment: all faults, for minutes
 * (`make check-faults`); else a few short ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis-tests/lib/lab.h"
#include "redis-tests/lib/run.h"
#include "redis-tests/lib/shop.h"
#include "tests/lib/run.h"

static bool is_long(void) {
    const char *faults = getenv("FAULTS");
    return faults != NULL && strcmp(faults, "long") == 0;
}

/* Requests between two events. */
static int some(void) {
    return is_long() ? 1000 : test_is_slow() ? 50 : 100;
}

/* So long a network fault lasts. */
static unsigned a_while_ms(void) {
    return is_long() ? 8000 : 2000;
}

static void kill_nine(struct lab *lab, struct shop *shop) {
    for (size_t victim = 0; victim < (is_long() ? LAB_NODES : 1); victim++) {
        lab_kill(lab, victim);
        shop_wait(shop, some());
        lab_start(lab, victim);
        lab_wait(lab);
    }
}

static void stand_still(struct lab *lab, struct shop *shop) {
    lab_pause(lab, 1);
    proc_sleep_ms(is_long() ? 10000 : 3000);
    shop_wait(shop, some());
    lab_resume(lab, 1);
}

static void halves(struct lab *lab, struct shop *shop) {
    (void)shop;
    static const int side[LAB_NODES] = {1, 1, 2, 2, 2};
    lab_divide(lab, side);
    proc_sleep_ms(a_while_ms());
}

static void one_cut_off(struct lab *lab, struct shop *shop) {
    (void)shop;
    static const int side[LAB_NODES] = {1, 1, 1, 2, 1};
    lab_divide(lab, side);
    proc_sleep_ms(a_while_ms());
}

static void bridge(struct lab *lab, struct shop *shop) {
    (void)shop;
    static const int side[LAB_NODES] = {1, 1, 0, 2, 2};
    lab_divide(lab, side);
    proc_sleep_ms(a_while_ms());
}

static void one_way(struct lab *lab, struct shop *shop) {
    (void)shop;
    lab_silence(lab, 0, 1);
    lab_silence(lab, 2, 3);
    proc_sleep_ms(a_while_ms());
}

static void flapping(struct lab *lab, struct shop *shop) {
    (void)shop;
    for (unsigned i = 0; i < a_while_ms() / 600; i++) {
        lab_silence(lab, 0, 1);
        lab_silence(lab, 1, 0);
        proc_sleep_ms(300);
        lab_heal(lab, 0, 1);
        lab_heal(lab, 1, 0);
        proc_sleep_ms(300);
    }
}

static void wrong_clocks(struct lab *lab, struct shop *shop) {
    lab->nodes[0].skew_s = 60;
    lab->nodes[1].skew_s = -60;
    for (size_t i = 0; i < 2; i++) {
        lab_kill(lab, i);
        lab_start(lab, i);
        lab_wait(lab);
    }
    shop_wait(shop, some());
    for (size_t i = 0; i < 2; i++) {
        lab->nodes[i].skew_s = 0;
        lab_kill(lab, i);
        lab_start(lab, i);
        lab_wait(lab);
    }
}

/* Three of five are gone: for some keys these are all homes. */
static void homes_down(struct lab *lab, struct shop *shop) {
    for (size_t i = 0; i < 3; i++) {
        lab_kill(lab, i);
    }
    proc_sleep_ms(a_while_ms());
    shop_wait(shop, 10);
    for (size_t i = 0; i < 3; i++) {
        lab_start(lab, i);
    }
}

#define LOSER 3 /* the node whose disk goes */

static bool all_are_filled(const struct lab *lab) {
    for (size_t i = 0; i < LAB_NODES; i++) {
        if (lab_info(lab, i, "members_joining") != 0) {
            return false;
        }
    }
    return true;
}

static void wipe(struct lab *lab) {
    lab_kill(lab, LOSER);
    lab_empty(lab, LOSER);
    lab_start(lab, LOSER);
}

/* All that a node had is gone, its name too: it takes its old places, and the others fill it again. */
static void wiped_disk(struct lab *lab, struct shop *shop) {
    wipe(lab);
    shop_wait(shop, some());
    lab_wait(lab);
    WAIT_FOR(all_are_filled(lab));
}

/* It may not while one of the others is out of reach. */
static void wiped_beside_a_cut(struct lab *lab, struct shop *shop) {
    (void)shop;
    static const int side[LAB_NODES] = {1, 2, 2, 2, 2};
    lab_divide(lab, side);
    proc_sleep_ms(a_while_ms() / 2);
    wipe(lab);
    proc_sleep_ms(a_while_ms() / 2);
    ck_assert(lab_says(lab, LOSER, "SET unseen 1", "CLUSTERDOWN"));
    lab_heal_all(lab);
    lab_wait(lab);
    WAIT_FOR(all_are_filled(lab));
}

/* The old disk turns up when another has its places: it says so and serves nothing, until the new disk is back. */
static void old_disk(struct lab *lab, struct shop *shop) {
    wipe(lab);
    lab_wait(lab);
    WAIT_FOR(all_are_filled(lab));
    lab_kill(lab, LOSER);
    lab_swap(lab, LOSER);
    lab_start(lab, LOSER);
    WAIT_FOR(lab_says(lab, LOSER, "SET unseen 1", "REMOVED"));
    shop_wait(shop, some());
    lab_kill(lab, LOSER);
    lab_swap(lab, LOSER);
    lab_start(lab, LOSER);
}

static const struct fault {
    const char *name;
    void (*happens)(struct lab *lab, struct shop *shop);
    bool in_short;
} faults[] = {
    {"kill -9", kill_nine, true},
    {"SIGSTOP", stand_still, false},
    {"one node cut off", one_cut_off, true},
    {"halves", halves, true},
    {"bridge", bridge, false},
    {"one-way loss", one_way, false},
    {"flapping link", flapping, false},
    {"clocks wrong by 60 s", wrong_clocks, false},
    {"three of five down", homes_down, false},
    {"wiped disk", wiped_disk, true},
    {"wiped disk beside a cut", wiped_beside_a_cut, false},
    {"the old disk turns up", old_disk, false},
};

START_TEST(everything_acknowledged_is_there) {
    struct shop shop;
    struct lab *lab =
        lab_open("request-timeout 1000\nfailure-timeout 3000\nanti-entropy-interval 5000\n");
    int failed = 0;
    shop_open(&shop, lab->addresses, LAB_NODES, &lab->reach);
    shop_wait(&shop, some());
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        if (!is_long() && !faults[i].in_short) {
            continue;
        }
        shop_mark(&shop);
        faults[i].happens(lab, &shop);
        lab_heal_all(lab);
        lab_wait(lab);
        shop_wait(&shop, some());
        shop_judge(&shop);
        shop_print(&shop, faults[i].name);
        failed += shop.failed;
    }
    shop_stop(&shop);
    shop_mark(&shop);
    shop_judge(&shop); /* what failed in the last moment */
    failed += shop.failed;
    for (size_t i = 0; i < LAB_NODES; i++) {
        WAIT_FOR(lab_info(lab, i, "hints_pending") == 0);
        fprintf(stderr, "node %zu: %lld hints delivered, %lld exchanges, %lld keys repaired\n",
                i + 1, lab_info(lab, i, "hints_delivered"),
                lab_info(lab, i, "antientropy_exchanges"),
                lab_info(lab, i, "antientropy_keys_repaired"));
    }
    for (size_t i = 0; i < LAB_NODES; i++) {
        WAIT_FOR(shop_agrees(&shop, i, false));
    }
    shop_verify(&shop);
    ck_assert_int_eq(failed, 0); /* a client that retries once notices no more than a pause */
    shop_free(&shop);
    lab_close(&lab);
}
END_TEST

int main(void) {
    char why[200];
    if (!lab_enter(why)) {
        printf("skipped: %s\n", why);
        return 77;
    }
    Suite *suite = suite_create("netfaults");
    TCase *own = run_group(suite, NULL, NULL);
    if (is_long()) {
        tcase_set_timeout(own, 900);
    }
    tcase_add_test(own, everything_acknowledged_is_there);
    return run_tests(suite);
}
