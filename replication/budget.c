/* The background budget: see budget.h. */
#include "replication/budget.h"

void budget_init(struct budget *budget, uint64_t rate, uint64_t now_us) {
    *budget = (struct budget){.rate = rate, .allowed = rate, .filled_us = now_us};
    budget->tokens = (int64_t)(rate / 1000 * BUDGET_BURST_MS + 1);
}

void budget_set_rate(struct budget *budget, uint64_t rate) {
    if (budget->rate != rate)
        budget->rate = budget->allowed = rate;
}

void budget_lag(struct budget *budget, uint64_t lag_us) {
    uint64_t least = budget->rate / BUDGET_LEAST_SHARE + 1;
    if (lag_us > BUDGET_LAG_US)
        budget->allowed /= 2;
    else
        budget->allowed += least;
    if (budget->allowed < least)
        budget->allowed = least;
    if (budget->allowed > budget->rate)
        budget->allowed = budget->rate;
}

bool budget_open(struct budget *budget, uint64_t now_us) {
    if (budget->rate == 0)
        return true;
    uint64_t passed = now_us > budget->filled_us ? now_us - budget->filled_us : 0;
    int64_t most = (int64_t)(budget->allowed / 1000 * BUDGET_BURST_MS + 1);
    int64_t added = (int64_t)((double)budget->allowed * (double)passed / 1e6);
    if (added > 0) { /* else the fraction stays in the time */
        budget->tokens += added;
        budget->filled_us = now_us;
    }
    if (budget->tokens > most)
        budget->tokens = most;
    return budget->tokens > 0;
}

void budget_spend(struct budget *budget, uint64_t bytes) {
    budget->spent += bytes;
    if (budget->rate > 0)
        budget->tokens -= (int64_t)bytes;
}
