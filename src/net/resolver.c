/* A resolver: names to addresses without blocking the loop.
 *
 * One `shared` part belongs to the loop's side and to all helper threads together, counted by `owners` and guarded by its
 * mutex; the last to leave frees it. A question is always in exactly one place: the queue, a thread's hands, or the list of those
 * done, which the loop is told of through an eventfd. */
#include "net/resolver.h"

#include <assert.h>
#include <event2/event.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_THREADS 4
#define MAX_WAITING 256

struct question {
    struct question *next;
    char *host;
    uint16_t port;
    resolver_on_done *on_done;
    void *arg;
    /* The answer. */
    struct net_address *addresses;
    size_t count;
    const char *error;
};

struct list {
    struct question *first, *last;
    size_t count;
};

struct shared {
    pthread_mutex_t mutex;
    unsigned owners;  /* the loop's side, and each thread */
    unsigned threads; /* that will look at the queue again */
    bool closed;      /* the loop's side is gone */
    struct list queue;
    struct list done;
    int wake_fd;
};

struct resolver {
    struct shared *shared;
    struct event *wake;
};

static void push(struct list *list, struct question *q) {
    q->next = NULL;
    if (list->last == NULL) {
        list->first = q;
    } else {
        list->last->next = q;
    }
    list->last = q;
    list->count++;
}

static struct question *pop(struct list *list) {
    struct question *q = list->first;
    if (q != NULL) {
        list->first = q->next;
        if (list->first == NULL) {
            list->last = NULL;
        }
        list->count--;
    }
    return q;
}

static void question_free(struct question *q) {
    free(q->addresses);
    free(q->host);
    free(q);
}

static void drop_all(struct list *list) {
    struct question *q;
    while ((q = pop(list)) != NULL) {
        question_free(q);
    }
}

/* Gives up one ownership; called with the mutex held, which is released. */
static void leave(struct shared *shared) {
    unsigned owners = --shared->owners;
    pthread_mutex_unlock(&shared->mutex);
    if (owners == 0) {
        drop_all(&shared->queue);
        drop_all(&shared->done);
        close(shared->wake_fd);
        pthread_mutex_destroy(&shared->mutex);
        free(shared);
    }
}

/* ---- in a helper thread --------------------------------------------------------------------------- */

static void look_up(struct question *q) {
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)q->port);
    int rc = getaddrinfo(q->host, service, &hints, &found);
    if (rc != 0) {
        q->error = gai_strerror(rc);
        return;
    }
    size_t count = 0;
    for (const struct addrinfo *a = found; a != NULL; a = a->ai_next) {
        count++;
    }
    q->addresses = calloc(count, sizeof *q->addresses);
    if (q->addresses == NULL) {
        q->error = rd_err_text(RD_ENOMEM);
    } else {
        for (const struct addrinfo *a = found; a != NULL; a = a->ai_next) {
            memcpy(&q->addresses[q->count].storage, a->ai_addr, a->ai_addrlen);
            q->addresses[q->count++].len = a->ai_addrlen;
        }
    }
    freeaddrinfo(found);
}

static void *work(void *arg) {
    struct shared *shared = arg;
    pthread_mutex_lock(&shared->mutex);
    struct question *q;
    while (!shared->closed && (q = pop(&shared->queue)) != NULL) {
        pthread_mutex_unlock(&shared->mutex);
        look_up(q);
        pthread_mutex_lock(&shared->mutex);
        push(&shared->done, q);
        eventfd_write(shared->wake_fd, 1);
    }
    shared->threads--;
    leave(shared);
    return NULL;
}

/* ---- on the loop's side --------------------------------------------------------------------------- */

static void on_wake(evutil_socket_t fd, short what, void *arg) {
    struct resolver *resolver = arg;
    struct shared *shared = resolver->shared;
    eventfd_t ignored;
    (void)what;
    (void)eventfd_read(fd, &ignored);
    pthread_mutex_lock(&shared->mutex);
    struct list done = shared->done;
    memset(&shared->done, 0, sizeof shared->done);
    pthread_mutex_unlock(&shared->mutex);
    struct question *q;
    while ((q = pop(&done)) != NULL) {
        q->on_done(q->arg, q->addresses, q->count, q->error);
        question_free(q);
    }
}

static enum rd_err shared_new(struct shared **out) {
    struct shared *shared = calloc(1, sizeof *shared);
    if (shared == NULL) {
        return RD_ENOMEM;
    }
    shared->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (shared->wake_fd < 0) {
        free(shared);
        return RD_EIO;
    }
    int rc = pthread_mutex_init(&shared->mutex, NULL);
    assert(rc == 0);
    shared->owners = 1;
    *out = shared;
    return RD_OK;
}

enum rd_err resolver_new(struct event_base *base, struct resolver **out) {
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL) {
        return RD_ENOMEM;
    }
    enum rd_err err = shared_new(&resolver->shared);
    if (err == RD_OK) {
        resolver->wake =
            event_new(base, resolver->shared->wake_fd, EV_READ | EV_PERSIST, on_wake, resolver);
        if (resolver->wake == NULL || event_add(resolver->wake, NULL) != 0) {
            err = RD_ENOMEM;
        }
    }
    if (err != RD_OK) {
        resolver_free(&resolver);
        return err;
    }
    *out = resolver;
    return RD_OK;
}

/* Called with the mutex held. Returns false if no thread at all could be had. */
static bool have_a_thread(struct shared *shared) {
    pthread_t thread;
    if (shared->threads >= MAX_THREADS) {
        return true;
    }
    if (pthread_create(&thread, NULL, work, shared) != 0) {
        return shared->threads > 0;
    }
    pthread_detach(thread);
    shared->threads++;
    shared->owners++;
    return true;
}

enum rd_err resolver_ask(struct resolver *resolver, const char *host, uint16_t port,
                         resolver_on_done *on_done, void *arg) {
    struct shared *shared = resolver->shared;
    struct question *q = calloc(1, sizeof *q);
    if (q == NULL || (q->host = strdup(host)) == NULL) {
        free(q);
        return RD_ENOMEM;
    }
    q->port = port;
    q->on_done = on_done;
    q->arg = arg;
    enum rd_err err = RD_OK;
    pthread_mutex_lock(&shared->mutex);
    if (shared->queue.count >= MAX_WAITING || !have_a_thread(shared)) {
        err = RD_EOVERLOADED;
    } else {
        push(&shared->queue, q);
    }
    pthread_mutex_unlock(&shared->mutex);
    if (err != RD_OK) {
        question_free(q);
    }
    return err;
}

void resolver_free(struct resolver **resolver) {
    if (*resolver == NULL) {
        return;
    }
    if ((*resolver)->wake != NULL) {
        event_free((*resolver)->wake);
    }
    struct shared *shared = (*resolver)->shared;
    if (shared != NULL) {
        pthread_mutex_lock(&shared->mutex);
        shared->closed = true;
        leave(shared);
    }
    free(*resolver);
    *resolver = NULL;
}
