/* redynamo-server: one node of a cluster. Flags, daemon, signals, wiring; no logic.
 *
 * Order of a start: configuration; into `dir`; into the background (before anything has threads); the server; the pidfile. A daemon's parent
 * waits until the child has started, so that its exit status tells. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/log.h"
#include "server/server.h"
#include "store/store_sqlite.h"

enum task { RUN, CHECK_CONFIG, CHECK_STORE, SHOW_VERSION, SHOW_HELP };

struct options {
    enum task task;
    const char *file;      /* NULL: none */
    const char *store_dir; /* CHECK_STORE */
    char **directives;     /* owned; the rest of the command line */
    int directive_count;
};

static void show_help(FILE *to) {
    fprintf(to, "usage: redynamo-server [FILE] [--DIRECTIVE VALUE...]...\n"
                "       redynamo-server [FILE] [--DIRECTIVE VALUE...]... --check-config\n"
                "       redynamo-server --check-store DIR\n"
                "       redynamo-server --version | --help\n"
                "\n"
                "Starts one node of a Redynamo cluster. FILE is a configuration file (\"-\": "
                "standard input);\n"
                "directives on the command line override it.\n"
                "\n"
                "  redynamo-server --port 7001 --dir /var/lib/redynamo --seed 10.0.0.2:17001 "
                "10.0.0.3:17001\n"
                "\n"
                "redynamo-server(1) and redynamo.conf(5) say more.\n");
}

/* ---- the command line ----------------------------------------------------------------------------- */

static bool is_one_of(const char *text, const char *a, const char *b) {
    return strcmp(text, a) == 0 || strcmp(text, b) == 0;
}

/* Returns false after saying what is wrong. */
static bool parse_options(int argc, char **argv, struct options *out) {
    out->directives = calloc((size_t)argc + 1, sizeof *out->directives);
    if (out->directives == NULL) {
        fprintf(stderr, "redynamo-server: out of memory\n");
        return false;
    }
    if (argc == 2 && is_one_of(argv[1], "--version", "-v")) {
        out->task = SHOW_VERSION;
        return true;
    }
    if (argc == 2 && is_one_of(argv[1], "--help", "-h")) {
        out->task = SHOW_HELP;
        return true;
    }
    if (argc >= 2 && strcmp(argv[1], "--check-store") == 0) {
        if (argc != 3) {
            fprintf(stderr, "redynamo-server: --check-store needs a directory\n");
            return false;
        }
        out->task = CHECK_STORE;
        out->store_dir = argv[2];
        return true;
    }
    int i = 1;
    if (argc >= 2 && (argv[1][0] != '-' || strcmp(argv[1], "-") == 0)) {
        out->file = argv[i++];
    }
    for (; i < argc; i++) {
        if (strcmp(argv[i], "--check-config") == 0) {
            out->task = CHECK_CONFIG;
        } else {
            out->directives[out->directive_count++] = argv[i];
        }
    }
    return true;
}

/* ---- the process ---------------------------------------------------------------------------------- */

static void ignore_signals(void) {
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGHUP, &ignore, NULL);
}

/* In the parent: waits for the child's word and exits. In the child: returns the pipe's end to give it on, or -1. */
static int go_to_background(void) {
    int ends[2];
    char word;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid < 0) {
        return -1;
    }
    if (pid > 0) {
        close(ends[1]);
        ssize_t n;
        do {
            n = read(ends[0], &word, 1);
        } while (n < 0 && errno == EINTR);
        _exit(n == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    close(ends[0]);
    setsid();
    return ends[1];
}

/* The daemon is up: lets go of the terminal and of the parent. */
static void let_go(int parent) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        close(null);
    }
    while (write(parent, "+", 1) < 0 && errno == EINTR) {
    }
    close(parent);
}

static void write_pidfile(const struct server *server) {
    const char *path = server->config->pidfile;
    if (path[0] == '\0') {
        return;
    }
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        log_line(server->log, LOG_WARNING, "Cannot write the pidfile '%s': %s", path,
                 strerror(errno));
        return;
    }
    fprintf(file, "%ld\n", (long)getpid());
    fclose(file);
}

/* ---- tasks ---------------------------------------------------------------------------------------- */

static int check_store(const char *dir) {
    return store_sqlite_check(dir, stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int check_config(const struct config *config) {
    fwrite(buf_data(&config->warnings), 1, buf_len(&config->warnings), stdout);
    printf("the configuration is good\n");
    return EXIT_SUCCESS;
}

static int run(struct config **config, const char *executable) {
    char reason[CONFIG_REASON_BYTES];
    struct server *server;
    int parent = -1;
    if (chdir((*config)->dir) != 0) {
        fprintf(stderr, "redynamo-server: cannot change to dir '%s': %s\n", (*config)->dir,
                strerror(errno));
        return EXIT_FAILURE;
    }
    if ((*config)->daemonize && (parent = go_to_background()) < 0) {
        fprintf(stderr, "redynamo-server: cannot go to the background: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    if (server_new(config, executable, &server, reason) != RD_OK) {
        fprintf(stderr, "redynamo-server: %s\n", reason);
        return EXIT_FAILURE;
    }
    write_pidfile(server);
    log_line(server->log, LOG_NOTICE,
             "Redynamo %s is ready: clients on port %d, peers on port %d, data in %s",
             PACKAGE_VERSION, (int)server->config->port, (int)server->config->cluster_port,
             server->config->dir);
    if (parent >= 0) {
        let_go(parent);
    }
    server_run(server);
    log_line(server->log, LOG_NOTICE, "Closing the store");
    if (server->config->pidfile[0] != '\0') {
        (void)unlink(server->config->pidfile);
    }
    server_free(&server);
    return EXIT_SUCCESS;
}

/* The configuration's directory as an absolute path, for the log and CONFIG GET. */
static void make_dir_absolute(struct config *config) {
    char *absolute = realpath(config->dir, NULL);
    if (absolute != NULL) {
        free(config->dir);
        config->dir = absolute;
    }
}

static int configure_and(const struct options *options, const char *executable) {
    char reason[CONFIG_REASON_BYTES] = "out of memory";
    struct config *config = NULL;
    enum rd_err err = config_new(&config);
    if (err == RD_OK) {
        err = config_load(config, options->file, options->directive_count, options->directives,
                          reason);
    }
    int status = EXIT_FAILURE;
    if (err != RD_OK) {
        fprintf(stderr, "redynamo-server: %s\n", reason);
    } else if (options->task == CHECK_CONFIG) {
        status = check_config(config);
    } else {
        make_dir_absolute(config);
        status = run(&config, executable);
    }
    config_free(&config);
    return status;
}

int main(int argc, char **argv) {
    struct options options = {.task = RUN};
    char executable[PATH_MAX] = "";
    ignore_signals();
    if (readlink("/proc/self/exe", executable, sizeof executable - 1) < 0) {
        snprintf(executable, sizeof executable, "%s", argv[0]);
    }
    int status = EXIT_FAILURE;
    if (parse_options(argc, argv, &options)) {
        switch (options.task) {
        case SHOW_VERSION:
            printf("redynamo-server %s\n", PACKAGE_VERSION);
            status = EXIT_SUCCESS;
            break;
        case SHOW_HELP:
            show_help(stdout);
            status = EXIT_SUCCESS;
            break;
        case CHECK_STORE:
            status = check_store(options.store_dir);
            break;
        case CHECK_CONFIG:
        case RUN:
            status = configure_and(&options, executable);
            break;
        }
    }
    free(options.directives);
    return status;
}
