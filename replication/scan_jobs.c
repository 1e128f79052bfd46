/* The replica's side of a scan.
 *
 * Invariants: (1) a used job has one page under way; (2) used + answer_count <= SCAN_JOBS, so that an answer always finds room; (3) `at` only
 * moves forward, and every key wanted at or before it is in the page. */
#include "replication/scan_jobs.h"

#include <assert.h>

#include "replication/hint.h"

#define SPACE_OBJECTS 0
#define SPACE_HINTS 1
#define LEAST_ROWS                                                                                 \
    32 /* asked of the store at once, so that deleted ones among them do not make it many pages */
#define PAGE_BYTES (1u << 20) /* of values; they are read, and not sent */
#define GAP_SLOTS 8           /* so many empty slots are rather read through than gone around */

void scan_jobs_init(struct scan_jobs *jobs, struct core *core) {
    *jobs = (struct scan_jobs){.core = core};
}

static void job_free(struct scan_job *job) {
    scan_position_free(&job->order.from);
    scan_position_free(&job->at);
    buf_free(&job->page);
    *job = (struct scan_job){.run = job->run + 1};
}

void scan_answer_free(struct scan_answer *answer) {
    scan_position_free(&answer->to);
    buf_free(&answer->page);
}

void scan_jobs_free(struct scan_jobs *jobs) {
    struct scan_answer answer;
    while (scan_jobs_next(jobs, &answer))
        scan_answer_free(&answer);
    for (uint32_t i = 0; i < SCAN_JOBS; i++)
        job_free(&jobs->jobs[i]);
    jobs->used = 0;
}

bool scan_jobs_next(struct scan_jobs *jobs, struct scan_answer *out) {
    if (jobs->answer_count == 0)
        return false;
    *out = jobs->answers[jobs->first_answer];
    jobs->first_answer = (jobs->first_answer + 1) % SCAN_JOBS;
    jobs->answer_count--;
    return true;
}

/* Ends a job with an answer. */
static void answer(struct scan_jobs *jobs, struct scan_job *job, enum rd_err err) {
    struct scan_answer *out = &jobs->answers[(jobs->first_answer + jobs->answer_count) % SCAN_JOBS];
    *out = (struct scan_answer){
        .member = job->order.member, .id = job->order.id, .round = job->order.round, .err = err};
    if (err == RD_OK) {
        scan_position_copy(&out->to, &job->at);
        out->page = job->page;
        job->page = (struct buf){0};
    }
    jobs->answer_count++;
    jobs->used--;
    job_free(job);
}

/* True if the slot may hold something that is wanted. */
static bool is_wanted(const struct scan_jobs *jobs, const struct scan_job *job, uint16_t slot) {
    const struct store_view *view = &jobs->core->view;
    return job->order.tombstones || job->order.hints || view->live_count == NULL ||
           view->live_count(view->arg, slot, slot) > 0;
}

/* The next slot from `slot` that is wanted, at most last_slot + 1. */
static uint16_t next_wanted(const struct scan_jobs *jobs, const struct scan_job *job,
                            uint16_t slot) {
    while (slot <= job->order.last_slot && !is_wanted(jobs, job, slot))
        slot++;
    return slot;
}

/* Asks the store for what comes next, or ends the job. */
static void go_on(struct scan_jobs *jobs, struct scan_job *job) {
    uint16_t slot = next_wanted(jobs, job, job->at.slot);
    if (slot != job->at.slot)
        scan_position_slot(&job->at, slot);
    if (slot > job->order.last_slot) {
        answer(jobs, job, RD_OK);
        return;
    }
    uint32_t rows = job->order.max_rows - job->rows;
    if (rows < LEAST_ROWS)
        rows = LEAST_ROWS;
    if (rows > SCAN_MAX_ROWS || job->order.place != 0)
        rows = SCAN_MAX_ROWS;
    job->run_last = slot;
    for (uint16_t next = slot; next <= job->order.last_slot && next <= job->run_last + GAP_SLOTS;
         next++)
        if (is_wanted(jobs, job, next))
            job->run_last = next;
    struct effect *effect = effects_push(jobs->core->effects, EFF_STORE_SCAN);
    uint64_t number = (uint64_t)job->run * SCAN_JOBS + (uint64_t)(job - jobs->jobs);
    effect->store_scan =
        (struct store_scan_order){.token = SCAN_TOKEN(SCAN_KEYS, number),
                                  .space = job->order.hints ? SPACE_HINTS : SPACE_OBJECTS,
                                  .first_slot = slot,
                                  .last_slot = job->run_last,
                                  .after_slot = slot,
                                  .after_key = blob_ref(job->at.key),
                                  .max_rows = rows,
                                  .max_bytes = PAGE_BYTES};
}

/* True if this very order is being looked into: asked for again, since nobody knows whether it has arrived. */
static bool is_under_way(const struct scan_jobs *jobs, const struct scan_order_for *order) {
    for (uint32_t i = 0; i < SCAN_JOBS; i++) {
        const struct scan_order_for *at = &jobs->jobs[i].order;
        if (jobs->jobs[i].used && at->member == order->member && at->id == order->id &&
            at->round == order->round)
            return true;
    }
    return false;
}

enum rd_err scan_jobs_start(struct scan_jobs *jobs, const struct scan_order_for *order) {
    uint32_t i = 0;
    if (order->place != 0 && is_under_way(jobs, order))
        return RD_OK;
    if (jobs->used + jobs->answer_count >= SCAN_JOBS)
        return RD_EOVERLOADED;
    while (jobs->jobs[i].used)
        i++;
    struct scan_job *job = &jobs->jobs[i];
    job->used = true;
    jobs->used++;
    job->order = *order;
    job->order.from = (struct scan_position){0};
    if (job->order.max_rows < 1 || job->order.max_rows > SCAN_ANSWER_ROWS)
        job->order.max_rows = SCAN_ANSWER_ROWS;
    scan_position_copy(&job->at, &order->from);
    go_on(jobs, job);
    return RD_OK;
}

/* Adds a row's key and object to the page. Errors: RD_ENOMEM, RD_ECORRUPT. */
static enum rd_err add(struct scan_job *job, const struct scanned_row *row) {
    const struct resp_slice value = {row->value->bytes, row->value->len};
    struct hint_owed owed;
    struct object object;
    struct buf bytes = {0};
    if (!job->order.hints)
        return scan_page_add(&job->page, row->key, value);
    enum rd_err err = hint_decode(value.data, value.len, &owed, &object);
    if (err != RD_OK)
        return err == RD_ENOMEM ? err : RD_ECORRUPT;
    err = object_encode(&object, &bytes);
    if (err == RD_OK)
        err = scan_page_add(&job->page, row->key,
                            (struct resp_slice){buf_data(&bytes), buf_len(&bytes)});
    buf_free(&bytes);
    object_free(&object);
    return err;
}

/* Takes a row; true if the answer is complete with it. */
static bool take(struct scan_job *job, const struct scanned_row *row, enum rd_err *err) {
    bool wanted = row->value != NULL && (row->is_live || job->order.tombstones || job->order.hints);
    bool found = job->order.place != 0 && scan_place(row->key) == job->order.place;
    *err = RD_OK;
    if (job->order.place == 0 && wanted) {
        *err = add(job, row);
        job->rows += *err == RD_OK;
        if (*err == RD_ECORRUPT)
            *err = RD_OK; /* it shows nothing, as a damaged row */
    }
    job->looked++;
    if (job->order.place != 0)
        return found;
    return job->rows >= job->order.max_rows || buf_len(&job->page) >= SCAN_ANSWER_BYTES ||
           job->looked >= SCAN_LOOKED_ROWS;
}

bool scan_jobs_scanned(struct scan_jobs *jobs, uint64_t token, enum rd_err err,
                       const struct scanned_row *rows, size_t count, bool end) {
    uint64_t number = token & ((UINT64_C(1) << SCAN_USER_SHIFT) - 1);
    struct scan_job *job = &jobs->jobs[number % SCAN_JOBS];
    if (!job->used || job->run != number / SCAN_JOBS)
        return false;
    bool complete = false;
    size_t taken = 0;
    while (err == RD_OK && !complete && taken < count)
        complete = take(job, &rows[taken++], &err);
    if (err == RD_OK && taken > 0)
        err = scan_position_key(&job->at, rows[taken - 1].slot, rows[taken - 1].key);
    if (err != RD_OK || complete) {
        answer(jobs, job, err);
        return true;
    }
    if (end)
        scan_position_slot(&job->at, (uint16_t)(job->run_last + 1));
    go_on(jobs, job);
    return true;
}
